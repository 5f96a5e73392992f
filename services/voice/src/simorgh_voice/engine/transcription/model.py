"""A Whisper model in CTranslate2's format: what it costs, and its three operations on a batch of chunks.

Batches may be worked at side by side, each with fewer threads: to decode 2 minutes takes two batches of one thread each
half as long as one batch of two threads, which wait for one another at each of the thousand small products of a token.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from simorgh_shared.audio.samples import SAMPLE_RATE, Samples
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.speech.languages import LANGUAGES, heard_name
from simorgh_voice.engine.transcription.cublas import has_cublas

FRAMES_PER_S = 100
FULL_WINDOW_S = 30
"""What the model was trained with."""
_MARGIN_S = 1  # silence behind the speech, by which the model knows that it has ended
_STEP_S = 2
_SHORTEST_WINDOW_S = 8
_MOST_TOKENS = 448
_MOST_PROMPT_TOKENS = 223
_WORKING_BYTES = 400 << 20  # measured for base with a batch of 16; weights are counted by their file
_MOST_AT_ONCE = 4  # each has a working memory of its own
_PartT = TypeVar("_PartT")
_DoneT = TypeVar("_DoneT")


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

    def __init__(self, whisper: WhisperModel, model_dir: Path, *, num_at_once: int = 1) -> None:
        self._whisper = whisper
        self._model = whisper.model
        self._num_at_once = num_at_once
        self._pool = ThreadPoolExecutor(num_at_once, "hearing")
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

    def split(self, items: Sequence[_PartT]) -> list[Sequence[_PartT]]:
        """Neighbours, in as many parts as can be worked at side by side; what is heard does not depend on it."""
        num_parts = min(self._num_at_once, len(items))
        bounds = [number * len(items) // num_parts for number in range(num_parts + 1)]
        return [items[start:end] for start, end in pairwise(bounds)]

    def at_once(self, work: Callable[[_PartT], _DoneT], parts: Sequence[_PartT]) -> list[_DoneT]:
        """Work at parts side by side; returns or raises when all have ended. Not to be called by what works at one."""
        futures = [self._pool.submit(work, part) for part in parts]
        wait(futures)
        return [future.result() for future in futures]

    def encode(self, sounds: Sequence[Samples], window_s: int) -> "Encoded":
        """Hear a batch of chunks in a window of this length (`window_of`, FULL_WINDOW_S)."""
        num_frames = window_s * FRAMES_PER_S
        features = [self._features(sound, num_frames) for sound in sounds]
        frames = [min(len(sound) * FRAMES_PER_S // SAMPLE_RATE, num_frames) for sound in sounds]
        return Encoded(self._encode(features), frames, window_s)

    def detect_language(self, encoded: "Sequence[Encoded]") -> tuple[str, float]:
        """The language of some batches: the mean of the probabilities, by how long each chunk is."""
        if not self.is_multilingual:
            return "en", 1.0
        summed: dict[str, float] = {}
        for batch in encoded:
            for told, num_frames in zip(self._model.detect_language(batch.storage), batch.num_frames, strict=True):
                for token, probability in told:
                    if token[2:-2] in LANGUAGES:
                        summed[token[2:-2]] = summed.get(token[2:-2], 0.0) + probability * num_frames
        language = max(summed, key=lambda language: summed[language])
        return language, round(summed[language] / max(sum(sum(batch.num_frames) for batch in encoded), 1), 4)

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
            max_length=min(len(start) + _most_tokens(encoded.window_s), _MOST_TOKENS),
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
    window_s: int


def load(model_dir: Path, *, device: str, threads: int, by_batches: bool = False) -> Transcriber:
    """Load a model: int8 on a CPU that has it, half precision on a GPU (or on the CPU where cuBLAS is missing).

    `by_batches` has a CPU's threads work at batches of their own: long files end earlier, a single chunk later.

    Raises: InvalidInputError (speech_model_unfit).
    """
    if device == "cuda" and not has_cublas():
        logging.getLogger(__name__).warning("there is no libcublas.so.12 for the GPU: Whisper works on the processor")
        device = "cpu"
    known = ctranslate2.get_supported_compute_types(device)
    num_at_once = min(threads, _MOST_AT_ONCE) if by_batches and device == "cpu" else 1
    wanted = ("float16", "int8_float16", "float32") if device == "cuda" else ("int8", "float32")
    try:
        whisper = WhisperModel(
            str(model_dir),
            device=device,
            compute_type=next(kind for kind in wanted if kind in known),
            cpu_threads=threads // num_at_once,
            num_workers=num_at_once,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise InvalidInputError("speech_model_unfit", reason=str(error).splitlines()[0][:200]) from error
    return Transcriber(whisper, model_dir, num_at_once=num_at_once)


def window_of(sounds: Sequence[Samples]) -> int:
    """The length in seconds of a window that the longest of some chunks fits in."""
    longest_s = max(len(sound) for sound in sounds) / SAMPLE_RATE
    steps = -(-(longest_s + _MARGIN_S) // _STEP_S)
    return min(max(int(steps) * _STEP_S, _SHORTEST_WINDOW_S), FULL_WINDOW_S)


def _start_tokens(tokenizer: Any, prompt: str | None) -> list[int]:
    before: list[int] = []
    if prompt and prompt.strip():
        before = [tokenizer.sot_prev, *tokenizer.encode(" " + prompt.strip())[-_MOST_PROMPT_TOKENS:]]
    return [*before, *tokenizer.sot_sequence, tokenizer.no_timestamps]


def _most_tokens(sound_s: int) -> int:
    """More than anybody says: Persian takes base up to 12 tokens a second. A loop ends here."""
    return 32 + 14 * sound_s


def _hypothesis(result: Any, tokenizer: Any) -> Hypothesis:
    tokens = result.sequences_ids[0]
    avg_logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)
    return Hypothesis([token for token in tokens if token < tokenizer.eot], avg_logprob, result.no_speech_prob)
