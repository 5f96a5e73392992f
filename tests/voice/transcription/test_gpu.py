"""Whisper on a GPU. CTranslate2 brings no cuBLAS of its own: it wants that of CUDA 12 where it runs."""

from pathlib import Path

import numpy as np

from simorgh_voice.engine.transcription import load
from simorgh_voice.engine.transcription.cublas import has_cublas
from simorgh_voice.engine.transcription.model import Choice, window_of
from tests.support.gpu import needs_gpu
from tests.support.voice import RATE, repeated, spoken, whisper_folder

pytestmark = needs_gpu


def test_it_hears_there(tmp_path: Path) -> None:
    """R-VOICE-1: a batch is heard, decoded and aligned, in half precision."""
    transcriber = load(whisper_folder(tmp_path), device="cuda", threads=1)
    expected = ("cuda", "float16") if has_cublas() else ("cpu", "int8_float32")
    assert (transcriber._model.device, transcriber._model.compute_type) == expected
    sounds = [repeated(spoken("Two children were waiting."), seconds)[0] for seconds in (4, 7)]
    assert len(sounds[0]) == 4 * RATE
    encoded = transcriber.encode(sounds, window_of(sounds))
    tokenizer = transcriber.tokenizer("en", "transcribe")
    said = transcriber.decode(encoded, tokenizer, None, Choice(beam_size=2))
    assert len(said) == 2
    assert all(np.isfinite(one.avg_logprob) for one in said)
    assert transcriber.detect_language([encoded])[1] > 0
