"""VITS folders speak by transformers: letters, speed, sameness, refusals (R-VOICE-2, R-VOICE-6)."""

import json
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import VitsModel, VitsTokenizer

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_voice.engine import synthesis
from simorgh_voice.engine.synthesis import Cancelled, Voice, vits
from simorgh_voice.engine.synthesis.letters import Letters
from simorgh_voice.engine.synthesis.voices import Samples

TEXT = "سلام دنیا"


def never() -> bool:
    return False


def spoken(voice: Voice, text: str = TEXT, speed: float = 1.0) -> Samples:
    return voice.speak(text, speed=speed, pitch=1.0, is_cancelled=never).samples


def changed(folder: Path, target: Path, **settings: object) -> Path:
    """The same voice with other settings of its tokenizer."""
    shutil.copytree(folder, target)
    path = target / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | settings), encoding="utf-8")
    return target


class TestLetters:
    @pytest.mark.parametrize("text", ["سلام دنیا", "Hello there", "چه خبر؟ خوبی!", "it's"])
    def test_numbers_are_those_of_the_tokenizer(self, vits_folder: Path, text: str) -> None:
        """R-VOICE-2: letters, blanks and case as transformers has them."""
        wanted = VitsTokenizer.from_pretrained(vits_folder)(text)["input_ids"]
        assert Letters.read(vits_folder).spell(text) == (wanted, frozenset())

    def test_letters_that_it_does_not_know_are_told(self, vits_folder: Path) -> None:
        """R-VOICE-2: punctuation is no loss, a letter is."""
        numbers, dropped = Letters.read(vits_folder).spell("سلام世! ۵")
        assert (numbers, dropped) == (Letters.read(vits_folder).spell("سلام")[0], {"世", "۵"})

    def test_another_spelling_of_a_letter_is_read(self, vits_folder: Path) -> None:
        """R-FA-1: Arabic ye and kaf, a joiner, an accent."""
        letters = Letters.read(vits_folder)
        assert letters.spell("كتاب ي می\u200cروم é") == letters.spell("کتاب ی می روم e")

    @pytest.mark.parametrize("text", ["", "  ", "؟!", "世界", "'-"])
    def test_nothing_is_left(self, vits_folder: Path, text: str) -> None:
        """R-VOICE-2: what has no letter of the voice is no speech."""
        assert Letters.read(vits_folder).spell(text)[0] == []


class TestSpeak:
    def test_the_same_sentence_always_sounds_the_same(self, noise: Voice) -> None:
        """R-VOICE-4: whatever was spoken before it."""
        first = spoken(noise)
        spoken(noise, "چیز دیگر")
        assert np.array_equal(first, spoken(noise))
        assert not np.array_equal(first[:100], spoken(noise, "سلام دنیای")[:100])

    def test_speed_makes_it_shorter(self, noise: Voice) -> None:
        """R-VOICE-2: by the model's own speaking rate."""
        lengths = [len(spoken(noise, TEXT * 4, speed)) for speed in (0.5, 1.0, 2.0)]
        assert lengths[0] > 1.3 * lengths[1] > 1.3 * lengths[2]

    def test_it_is_what_transformers_makes(self, vits_folder: Path, noise: Voice) -> None:
        """R-VOICE-2: bfloat16 and weights that are computed once change little: the noise lies 26 dB below or more."""
        model = VitsModel.from_pretrained(vits_folder).eval()
        ids = torch.tensor([Letters.read(vits_folder).spell(TEXT)[0]])
        torch.manual_seed(zlib.crc32(TEXT.encode()))
        with torch.inference_mode():
            wanted = model(input_ids=ids).waveform[0].numpy()
        found = spoken(noise)
        assert len(found) == len(wanted)
        assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.05 * np.sqrt(np.mean(wanted**2))

    def test_it_knows_its_language_and_size(self, noise: Voice) -> None:
        """R-VOICE-2: what the table of voices tells."""
        assert (noise.language, noise.sample_rate, noise.has_pitch) == ("fa", 16_000, False)
        assert noise.memory_bytes > 1 << 20

    def test_it_is_cancelled_before_a_sentence(self, noise: Voice) -> None:
        """R-VOICE-2: nothing is computed for one who left."""
        with pytest.raises(Cancelled):
            noise.speak(TEXT, speed=1.0, pitch=1.0, is_cancelled=lambda: True)


class TestRefusals:
    @pytest.mark.parametrize(
        ("settings", "says"),
        [({"is_uroman": True}, "romanised by uroman"), ({"phonemize": True}, "turned into phonemes")],
    )
    def test_what_needs_a_program_to_spell(
        self, vits_folder: Path, tmp_path: Path, settings: dict[str, object], says: str
    ) -> None:
        """R-VOICE-6: with the reason, and before anything is loaded."""
        with pytest.raises(InvalidInputError, match=says):
            synthesis.load("x", changed(vits_folder, tmp_path / "v", **settings), device="cpu", threads=1)

    def test_a_vocabulary_that_does_not_fit(self, vits_folder: Path, tmp_path: Path) -> None:
        """R-VOICE-6: a letter beyond the table would be read from elsewhere."""
        folder = changed(vits_folder, tmp_path / "v")
        (folder / "vocab.json").write_text('{"a": 900}')
        with pytest.raises(InvalidInputError, match="names letter 900"):
            vits.load(folder, device="cpu", threads=1)

    @pytest.mark.parametrize("name", ["vocab.json", "config.json", "model.safetensors"])
    def test_a_file_that_is_damaged_or_missing(self, vits_folder: Path, tmp_path: Path, name: str) -> None:
        """R-VOICE-6: each is an answer, not a crash."""
        folder = changed(vits_folder, tmp_path / "v")
        (folder / name).write_bytes(b"{")
        with pytest.raises(InvalidInputError, match="cannot speak"):
            vits.load(folder, device="cpu", threads=1)
        (folder / name).unlink()
        with pytest.raises(InvalidInputError, match="cannot speak"):
            vits.load(folder, device="cpu", threads=1)
