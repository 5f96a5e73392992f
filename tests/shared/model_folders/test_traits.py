"""What a model folder can be used for: voices, and Whisper in its two forms, are told apart (R-VOICE-6)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from simorgh_shared.domain.messages import sentence
from simorgh_shared.model_folders.check import ModelReport, check_folder
from tests.support import model_files
from tests.support.model_files import base_folder, safetensors

VITS = {"model_type": "vits", "architectures": ["VitsModel"]}
WHISPER = {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"]}
LETTERS = json.dumps({"<pad>": 0, "س": 1, "ل": 2}).encode()


def speech_folder(config: Mapping[str, Any], tokenizer: Mapping[str, Any] | None = None) -> dict[str, bytes]:
    """A transformers folder with a vocabulary of letters."""
    return {
        "config.json": json.dumps(config).encode(),
        "model.safetensors": safetensors(),
        "vocab.json": LETTERS,
        "tokenizer_config.json": json.dumps(tokenizer or {}).encode(),
    }


def checked(root: Path, files: Mapping[str, bytes]) -> ModelReport:
    model_files.write(root / "sent", files)
    report = check_folder(root, 1 << 30)
    assert report.problem is None, sentence(report.problem, report.problem_params)
    return report


def words(count: int) -> bytes:
    return json.dumps([f"w{number}" for number in range(count)]).encode()


class TestTraits:
    def test_a_voice_says_its_language(self, tmp_path: Path) -> None:
        """R-VOICE-6: MMS names it by three letters in its tokenizer's settings."""
        report = checked(tmp_path, speech_folder(VITS, {"language": "fas", "is_uroman": False, "phonemize": False}))
        assert (report.format, report.kind, report.is_told) == ("safetensors", "speech", True)
        assert report.traits == {"architecture": "vits", "can": ["speech"], "languages": ["fa"]}

    def test_or_its_name_says_it(self, tmp_path: Path) -> None:
        """R-VOICE-6: the folder's own, or the one that it was saved from."""
        files = speech_folder(VITS)
        inside = {f"mms-tts-eng/{name}": body for name, body in files.items()}
        assert checked(tmp_path / "a", inside).traits["languages"] == ["en"]
        saved = files | {"config.json": json.dumps(VITS | {"_name_or_path": "facebook/mms-tts-fas"}).encode()}
        assert checked(tmp_path / "b", saved).traits["languages"] == ["fa"]
        assert checked(tmp_path / "c", files).traits["languages"] == []

    @pytest.mark.parametrize(("key", "program"), [("is_uroman", "uroman"), ("phonemize", "phonemizer")])
    def test_a_voice_whose_letters_need_a_program_cannot_speak_here(
        self, tmp_path: Path, key: str, program: str
    ) -> None:
        """R-VOICE-6: it is kept, and says why it is no voice."""
        traits = checked(tmp_path, speech_folder(VITS, {"language": "amh", key: True})).traits
        assert traits == {"architecture": "vits", "can": [], "languages": ["am"], "needs": [program]}

    def test_a_voice_needs_its_letters(self, tmp_path: Path) -> None:
        """R-VOICE-6: what is missing is named when it is sent."""
        files = speech_folder(VITS)
        del files["vocab.json"]
        model_files.write(tmp_path / "sent", files)
        report = check_folder(tmp_path, 1 << 30)
        assert report.problem == "model_folder_unfit"
        assert "vocab.json is missing" in str(report.problem_params)

    @pytest.mark.parametrize(("vocab_size", "languages"), [(51_865, []), (51_866, []), (51_864, ["en"])])
    def test_a_whisper_of_transformers_can_be_converted(
        self, tmp_path: Path, vocab_size: int, languages: list[str]
    ) -> None:
        """R-VOICE-6: it transcribes once it is a CTranslate2 model."""
        files = speech_folder(WHISPER | {"vocab_size": vocab_size})
        assert checked(tmp_path, files).traits == {
            "architecture": "whisper",
            "can": ["conversion"],
            "languages": languages,
        }

    @pytest.mark.parametrize("name", ["vocabulary.json", "vocabulary.txt"])
    def test_a_whisper_of_ctranslate2_transcribes(self, tmp_path: Path, name: str) -> None:
        """R-VOICE-1: and translates unless it is an English one, which has one token fewer."""
        whole = words(51_865) if name.endswith("json") else b"w\n" * 51_865
        model = {"model.bin": model_files.ctranslate2("WhisperSpec")}
        many = checked(tmp_path / "many", model | {name: whole})
        assert (many.format, many.kind) == ("ctranslate2", "speech")
        assert many.traits == {"architecture": "whisper", "can": ["transcription", "translation"], "languages": []}
        fewer = words(51_864) if name.endswith("json") else b"w\n" * 51_864
        one = checked(tmp_path / "one", model | {name: fewer})
        assert one.traits == {"architecture": "whisper", "can": ["transcription"], "languages": ["en"]}

    def test_a_model_of_texts_tells_its_architecture_alone(self, tmp_path: Path) -> None:
        """R-MODEL-1: nothing is promised of it here."""
        assert checked(tmp_path / "a", base_folder()).traits == {"architecture": "llama"}
        translator = {"model.bin": model_files.ctranslate2("TransformerSpec"), "vocabulary.json": words(3)}
        assert checked(tmp_path / "b", translator).traits == {"architecture": "transformer"}
