"""Whether a converted Whisper does what the original does: both hear one clip, and what they make of it is compared.

Shapes: M mel bands, T frames, S encoder positions, D width, V vocabulary.
"""

from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, WhisperFeatureExtractor, WhisperForConditionalGeneration

from simorgh_shared.domain.errors import InvalidInputError

_PROMPT = ("<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>")
_NUM_TOKENS = 24
_MOST_DEVIATION = {"float32": 1e-3, "float16": 0.02, "int8": 0.2}
"""Of the encoder's output from the original's, relative, by root mean square. Models of random weights, which are the
hardest, came out at 0.000001, 0.001 and 0.06."""
_FRAME_SAMPLES = 160
_SAMPLE_RATE = 16_000


def compare(source: Path, converted: Path, quantisation: str) -> dict[str, Any]:
    """How alike they are.

    Raises: InvalidInputError where they are not, which no conversion should bring about.
    """
    prompt, features_1MT, hidden_1SD, wanted = _original(source)
    model = ctranslate2.models.Whisper(
        str(converted), device="cpu", compute_type="int8_float32" if quantisation == "int8" else "float32"
    )
    heard = model.encode(ctranslate2.StorageView.from_array(features_1MT))
    found_1SD = np.array(heard).astype(np.float32)
    deviation = float(np.sqrt(np.mean((found_1SD - hidden_1SD) ** 2) / max(np.mean(hidden_1SD**2), 1e-12)))
    found = _greedy(model, heard, prompt)
    pairs = enumerate(zip(found, wanted, strict=False))
    equal = next((place for place, (one, other) in pairs if one != other), min(len(found), len(wanted)))
    if not deviation <= _MOST_DEVIATION[quantisation]:
        raise InvalidInputError("model_not_alike", reason=f"its encoder deviates by {deviation:.2g}")
    if quantisation == "float32" and found != wanted:
        raise InvalidInputError("model_not_alike", reason=f"token {equal + 1} of a clip differs")
    return {"encoder_deviation": round(deviation, 6), "tokens_equal": equal, "tokens_compared": len(wanted)}


def _greedy(model: ctranslate2.models.Whisper, heard: ctranslate2.StorageView, prompt: list[int]) -> list[int]:
    """The most probable tokens one by one, none of them suppressed. The library makes half of `max_length`."""
    result = model.generate(
        heard, [prompt], beam_size=1, max_length=2 * _NUM_TOKENS, suppress_blank=False, suppress_tokens=[]
    )
    return list(result[0].sequences_ids[0])


def clip(num_samples: int) -> NDArray[np.float32]:
    """Five seconds of something like a voice, then silence: the same for everybody."""
    times = np.arange(min(num_samples, 5 * _SAMPLE_RATE)) / _SAMPLE_RATE
    pitch = 2 * np.pi * np.cumsum(120 + 40 * np.sin(2 * np.pi * 0.7 * times)) / _SAMPLE_RATE
    tones = sum(np.sin(number * pitch) / number for number in range(1, 20))
    sound = 0.2 * tones * (0.55 + 0.45 * np.sin(2 * np.pi * 3 * times))
    whole = np.zeros(num_samples, np.float32)
    whole[: len(sound)] = sound
    return whole


def _original(source: Path) -> tuple[list[int], NDArray[np.float32], NDArray[np.float32], list[int]]:
    """The prompt, what both models hear, and what the original makes of it: its encoder's output and greedy tokens."""
    model = WhisperForConditionalGeneration.from_pretrained(source, local_files_only=True, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
    known = tokenizer.get_vocab()
    prompt = [known[token] for token in _PROMPT if token in known]
    num_frames = 2 * model.config.max_source_positions
    extractor = WhisperFeatureExtractor(feature_size=model.config.num_mel_bins)
    sound = clip(num_frames * _FRAME_SAMPLES)
    extracted = extractor(sound, sampling_rate=_SAMPLE_RATE, padding="do_not_pad", return_tensors="np")
    features_1MT = np.ascontiguousarray(extracted.input_features[:, :, :num_frames], dtype=np.float32)
    with torch.inference_mode():
        encoded = model.model.encoder(torch.from_numpy(features_1MT))
        ids = list(prompt)
        while len(ids) < len(prompt) + _NUM_TOKENS:
            logits_1LV = model(encoder_outputs=encoded, decoder_input_ids=torch.tensor([ids])).logits
            token = int(logits_1LV[0, -1].argmax())
            if token == model.config.eos_token_id:
                break
            ids.append(token)
    return prompt, features_1MT, encoded.last_hidden_state.numpy(), ids[len(prompt) :]
