"""A Whisper model in CTranslate2's format: what it costs, and its three operations on a batch of chunks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from simorgh_shared.audio.samples import SAMPLE_RATE, Samples
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.speech.languages import LANGUAGES, heard_name

FRAMES_PER_S = 100
_FULL_WINDOW_S = 30
_MARGIN_S = 1  # silence behind the speech, by which the model knows that it has ended
_STEP_S = 2
_SHORTEST_WINDOW_S = 8
_MOST_TOKENS = 448
_MOST_PROMPT_TOKENS = 223
_WORKING_BYTES = 400 << 20  # measured for base with a batch of 16; weights are counted by their file


@dataclass(frozen=True)
class Choice:
    """How the next token is chosen."""

    beam_size: int = 1
    temperature: float = 0.0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0


@dataclass(frozen=True)
class Hypothesis:
    """What the model says to one chunk."""

    tokens: list[int]
    avg_logprob: float
    no_speech_prob: float


class Transcriber:
    """One model that is loaded."""

    def __init__(self, whisper: WhisperModel, model_dir: Path) -> None:
        self._whisper = whisper
        self._model = whisper.model
        self.memory_bytes = (model_dir / "model.bin").stat().st_size + _WORKING_BYTES
        self.is_multilingual = bool(self._model.is_multilingual)

    def tokenizer(self, language: str, task: str) -> Any:
        """The tokens of a language and a task.

        Raises: InvalidInputError (speech_language_unknown, speech_task_unfit).
        """
        is_known = language in LANGUAGES and self._whisper.hf_tokenizer.token_to_id(f"<|{language}|>") is not None
        if self.is_multilingual and not is_known:
            raise InvalidInputError("speech_language_unknown", language=heard_name(language))
        if not self.is_multilingual:
            if language != "en":
                raise InvalidInputError("speech_language_unknown", language=heard_name(language))
            if task == "translate":
                raise InvalidInputError("speech_task_unfit")
        return Tokenizer(self._whisper.hf_tokenizer, self.is_multilingual, task=task, language=language)

    def encode(self, sounds: Sequence[Samples], *, is_full: bool = False) -> "Encoded":
        """Hear a batch of chunks, in a window that fits the longest of them, or in the full one."""
        longest_s = max(len(sound) for sound in sounds) / SAMPLE_RATE
        window_s = _FULL_WINDOW_S if is_full else _window_s(longest_s)
        num_frames = window_s * FRAMES_PER_S
        features = [self._features(sound, num_frames) for sound in sounds]
        frames = [min(len(sound) * FRAMES_PER_S // SAMPLE_RATE, num_frames) for sound in sounds]
        return Encoded(self._encode(features), frames)

    def detect_language(self, encoded: "Encoded") -> tuple[str, float]:
        """The language of a batch: the mean of the probabilities, by how long each chunk is."""
        if not self.is_multilingual:
            return "en", 1.0
        summed: dict[str, float] = {}
        for told, num_frames in zip(self._model.detect_language(encoded.storage), encoded.num_frames, strict=True):
            for token, probability in told:
                if token[2:-2] in LANGUAGES:
                    summed[token[2:-2]] = summed.get(token[2:-2], 0.0) + probability * num_frames
        language = max(summed, key=lambda language: summed[language])
        return language, round(summed[language] / max(sum(encoded.num_frames), 1), 4)

    def decode(self, encoded: "Encoded", tokenizer: Any, prompt: str | None, choice: Choice) -> list[Hypothesis]:
        """What is said in each chunk of a batch, without times: text with times in it left sentences out."""
        start = _start_tokens(tokenizer, prompt)
        results = self._model.generate(
            encoded.storage,
            [start] * len(encoded.num_frames),
            beam_size=choice.beam_size,
            sampling_temperature=choice.temperature or 1.0,
            sampling_topk=0 if choice.temperature else 1,
            repetition_penalty=choice.repetition_penalty,
            no_repeat_ngram_size=choice.no_repeat_ngram_size,
            max_length=min(len(start) + _most_tokens(max(encoded.num_frames)), _MOST_TOKENS),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=list(get_suppressed_tokens(tokenizer, [-1])),
        )
        return [_hypothesis(result, tokenizer) for result in results]

    def align(self, encoded: "Encoded", tokenizer: Any, tokens: Sequence[list[int]]) -> list[Any]:
        """When each token of each chunk was said: CTranslate2's alignments."""
        frames = [max(frames, 2) for frames in encoded.num_frames]
        aligned: list[Any] = self._model.align(encoded.storage, tokenizer.sot_sequence, list(tokens), frames)
        return aligned

    def _encode(self, features: Sequence[Samples]) -> Any:
        """One by one on a CPU: there a batch of 8 costs 1.5 to 2 times as much for each, since it leaves the caches."""
        if self._model.device != "cpu" or len(features) == 1:
            return self._model.encode(ctranslate2.StorageView.from_array(np.stack(features)))
        encoded = [np.array(self._model.encode(ctranslate2.StorageView.from_array(one[None]))) for one in features]
        return ctranslate2.StorageView.from_array(np.concatenate(encoded))

    def _features(self, sound: Samples, num_frames: int) -> Samples:
        features = self._whisper.feature_extractor(sound)[:, :-1][:, :num_frames]
        return np.pad(features, ((0, 0), (0, num_frames - features.shape[1]))).astype(np.float32, copy=False)


@dataclass(frozen=True)
class Encoded:
    """A batch that was heard."""

    storage: Any
    num_frames: list[int]
    """Of each chunk, without what fills its window."""


def load(model_dir: Path, *, device: str, threads: int) -> Transcriber:
    """Load a model: int8 on a CPU that has it, half precision on a GPU.

    Raises: InvalidInputError (speech_model_unfit).
    """
    known = ctranslate2.get_supported_compute_types(device)
    wanted = ("float16", "int8_float16", "float32") if device == "cuda" else ("int8", "float32")
    try:
        whisper = WhisperModel(
            str(model_dir),
            device=device,
            compute_type=next(kind for kind in wanted if kind in known),
            cpu_threads=threads,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise InvalidInputError("speech_model_unfit", reason=str(error).splitlines()[0][:200]) from error
    return Transcriber(whisper, model_dir)


def _window_s(sound_s: float) -> int:
    steps = -(-(sound_s + _MARGIN_S) // _STEP_S)
    return min(max(int(steps) * _STEP_S, _SHORTEST_WINDOW_S), _FULL_WINDOW_S)


def _start_tokens(tokenizer: Any, prompt: str | None) -> list[int]:
    before: list[int] = []
    if prompt and prompt.strip():
        before = [tokenizer.sot_prev, *tokenizer.encode(" " + prompt.strip())[-_MOST_PROMPT_TOKENS:]]
    return [*before, *tokenizer.sot_sequence, tokenizer.no_timestamps]


def _most_tokens(num_frames: int) -> int:
    """More than anybody says: Persian takes base up to 12 tokens a second. A loop ends here."""
    return 32 + 14 * num_frames // FRAMES_PER_S


def _hypothesis(result: Any, tokenizer: Any) -> Hypothesis:
    tokens = result.sequences_ids[0]
    avg_logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)
    return Hypothesis([token for token in tokens if token < tokenizer.eot], avg_logprob, result.no_speech_prob)
