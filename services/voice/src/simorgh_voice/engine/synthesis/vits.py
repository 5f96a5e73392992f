"""Speaks by VITS of transformers: the folders of MMS and others of its kind, from the registry.

The decoder takes nine tenths of the time: it runs in bfloat16 where the processor computes in it. What decides how
long a sound lasts stays in float32, and so does the last layer, whose output is the sound itself.
"""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch.nn.utils import parametrize
from transformers import VitsConfig, VitsModel
from transformers.utils import logging as transformers_logging

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.speech.voices import language_of_name, language_of_three_letters
from simorgh_voice.engine.synthesis.layers import ReducedDecoder
from simorgh_voice.engine.synthesis.letters import Letters
from simorgh_voice.engine.synthesis.voices import Cancelled, Utterance

_WORKING_BYTES = 256 << 20  # a sentence of 20 s in bfloat16


class VitsVoice:
    """A loaded model and its letters."""

    has_pitch = False

    def __init__(self, model: VitsModel, letters: Letters, language: str, device: str, is_reduced: bool) -> None:
        self.language = language
        self.sample_rate = int(model.config.sampling_rate)
        self.memory_bytes = sum(one.numel() * one.element_size() for one in model.parameters()) + _WORKING_BYTES
        self.is_reduced = is_reduced
        self._model = model
        self._letters = letters
        self._device = device
        self._has_speakers = model.config.num_speakers > 1

    def speak(self, sentence: str, *, speed: float, pitch: float, is_cancelled: Callable[[], bool]) -> Utterance:
        """The samples of a sentence; the same sentence always sounds the same.

        Raises: Cancelled.
        """
        assert pitch == 1.0
        numbers, dropped = self._letters.spell(sentence)
        if not numbers:
            return Utterance(np.zeros(0, np.float32), dropped)
        if is_cancelled():
            raise Cancelled
        torch.manual_seed(zlib.crc32(sentence.encode("utf-8", "replace")))
        with torch.inference_mode():
            ids_BT = torch.tensor([numbers], device=self._device)
            rate = float(self._model.config.speaking_rate) * speed
            spoken = self._model(input_ids=ids_BT, speaking_rate=rate, speaker_id=0 if self._has_speakers else None)
            samples = spoken.waveform[0].float().cpu().numpy()
        return Utterance(np.nan_to_num(samples), dropped)


def load(model_dir: Path, *, device: str, threads: int) -> VitsVoice:
    """The voice of a folder.

    Raises: InvalidInputError `speech_voice_unfit`.
    """
    letters = Letters.read(model_dir)
    transformers_logging.disable_progress_bar()
    try:
        config = VitsConfig.from_pretrained(model_dir, local_files_only=True)
        model = VitsModel.from_pretrained(
            model_dir, config=config, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise InvalidInputError("speech_voice_unfit", reason=str(error)[:200] or type(error).__name__) from error
    num_letters = model.config.vocab_size
    if max(letters.numbers.values()) >= num_letters:
        reason = f"vocab.json names letter {max(letters.numbers.values())} of {num_letters}"
        raise InvalidInputError("speech_voice_unfit", reason=reason)
    torch.set_num_threads(threads)
    model.eval()
    _compute_weights_once(model)
    is_reduced = computes_in_bfloat16(device)
    if is_reduced:
        model.decoder = ReducedDecoder(model.decoder)
    model.to(device)
    return VitsVoice(model, letters, _language(model_dir, letters), device, is_reduced)


def computes_in_bfloat16(device: str) -> bool:
    """Whether products in bfloat16 are quicker there than in float32."""
    if device != "cpu":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _compute_weights_once(model: VitsModel) -> None:
    """Weight normalisation is for training: without it each call computes all weights anew."""
    for module in model.modules():
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight")


def _language(folder: Path, letters: Letters) -> str:
    if letters.language:
        return language_of_three_letters(letters.language)
    config: Any = json.loads((folder / "config.json").read_bytes())
    return language_of_name(str(config.get("_name_or_path", ""))) or ""
