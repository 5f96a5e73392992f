"""A Whisper of transformers becomes one of CTranslate2 that hears the same (R-VOICE-6)."""

import json
import shutil
from pathlib import Path
from typing import Any

import faster_whisper
import pytest

from simorgh_shared.child.events import EventLog
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_voice.converting import likeness
from simorgh_voice.converting.run import convert, run_conversion
from tests.support.whispers import NUM_TOKENS, make_whisper_folder


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_whisper_folder(tmp_path_factory.mktemp("whisper") / "tiny")


def converted(source: Path, folder: Path, quantisation: str = "float32") -> list[dict[str, Any]]:
    """What the child says of its work folder."""
    shutil.copytree(source, folder / "inputs" / "model")
    (folder / "run.json").write_text(json.dumps({"spec": {"quantisation": quantisation}}))
    with EventLog(folder / "events.jsonl") as events:
        run_conversion(folder, events)
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


class TestConversion:
    @pytest.mark.parametrize(("quantisation", "deviation"), [("float32", 1e-4), ("float16", 0.01), ("int8", 0.15)])
    def test_it_hears_what_the_original_hears(
        self, whisper: Path, tmp_path: Path, quantisation: str, deviation: float
    ) -> None:
        """R-VOICE-6: greedy tokens of a clip are equal in full precision, and the encoder's output is near in all."""
        told = converted(whisper, tmp_path, quantisation)[-1]
        assert told["type"] == "result"
        assert told["model"] == {
            "format": "ctranslate2",
            "kind": "speech",
            "traits": {"architecture": "whisper", "can": ["transcription", "translation"], "languages": []},
        }
        found = told["metrics"]["likeness"]
        assert found["encoder_deviation"] < deviation
        assert found["tokens_compared"] > 0
        if quantisation == "float32":
            assert found["tokens_equal"] == found["tokens_compared"]

    def test_faster_whisper_runs_it(self, whisper: Path, tmp_path: Path) -> None:
        """R-VOICE-1: with tokenizer and settings beside it, and without a network."""
        converted(whisper, tmp_path)
        assert {path.name for path in (tmp_path / "output").iterdir()} >= {
            "model.bin", "config.json", "vocabulary.json", "tokenizer.json", "preprocessor_config.json",
        }  # fmt: skip
        assert len(json.loads((tmp_path / "output" / "vocabulary.json").read_bytes())) == NUM_TOKENS
        model = faster_whisper.WhisperModel(str(tmp_path / "output"), device="cpu", compute_type="int8", cpu_threads=1)
        segments, told = model.transcribe(likeness.clip(48_000), language="fa", max_new_tokens=5, temperature=0.0)
        assert (told.language, model.model.is_multilingual) == ("fa", True)
        assert list(segments) is not None

    def test_a_tokenizer_in_two_files_is_put_together(self, whisper: Path, tmp_path: Path) -> None:
        """R-VOICE-6: older folders have vocab.json and merges.txt alone."""
        source = tmp_path / "old"
        shutil.copytree(whisper, source)
        tokenizer = json.loads((source / "tokenizer.json").read_bytes())
        (source / "tokenizer.json").unlink()
        (source / "vocab.json").write_text(json.dumps(tokenizer["model"]["vocab"]))
        (source / "merges.txt").write_text("#version: 0.2\n")
        specials = {one["content"]: one["id"] for one in tokenizer["added_tokens"]}
        (source / "added_tokens.json").write_text(json.dumps(specials))
        convert(source, tmp_path / "new", "int8")
        assert json.loads((tmp_path / "new" / "tokenizer.json").read_bytes())["model"]["vocab"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("config", "says"),
        [({"model_type": "vits"}, "it is no Whisper"), ([], "it is no Whisper"), (None, "config.json cannot be read")],
    )
    def test_what_is_no_whisper(self, whisper: Path, tmp_path: Path, config: object, says: str) -> None:
        """R-VOICE-6: the reason is told before anything is loaded."""
        source = tmp_path / "source"
        shutil.copytree(whisper, source)
        (source / "config.json").write_text("{" if config is None else json.dumps(config))
        with pytest.raises(InvalidInputError, match=says):
            converted(source, tmp_path / "work")

    def test_weights_that_do_not_fit(self, whisper: Path, tmp_path: Path) -> None:
        """R-VOICE-6: an answer, not a crash."""
        source = tmp_path / "source"
        shutil.copytree(whisper, source)
        config = json.loads((source / "config.json").read_bytes())
        (source / "config.json").write_text(json.dumps(config | {"d_model": 32}))
        with pytest.raises(InvalidInputError, match="cannot be loaded"):
            converted(source, tmp_path / "work")

    def test_what_does_not_hear_the_same_is_not_kept(self, whisper: Path, tmp_path: Path) -> None:
        """R-VOICE-6: another model's weights under this one's name are found out."""
        other = make_whisper_folder(tmp_path / "other", seed=1)
        convert(other, tmp_path / "output", "float32")
        with pytest.raises(InvalidInputError, match="is not what went in") as refused:
            likeness.compare(whisper, tmp_path / "output", "float32")
        assert refused.value.code == "model_not_alike"
