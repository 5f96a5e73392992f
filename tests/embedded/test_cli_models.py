"""Models by the command line: up, looked at and away."""

import json
from pathlib import Path

import pytest

from tests.embedded.program import Simorgh
from tests.support import model_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return model_files.write(tmp_path / "کوچک", model_files.base_folder() | {".gitattributes": b"*.bin lfs"})


class TestUpload:
    def test_a_folder_goes_up_and_is_shown_by_its_name(self, user: Simorgh, folder: Path) -> None:
        """R-API-4, R-MODEL-1: named like the folder; what is no part of the model is told."""
        told = user.run("models", "upload", str(folder))
        assert told.stdout.startswith("Model کوچک (model_")
        assert "version 1: base safetensors, 32 parameters" in told.stdout
        assert "Left out, as no part of a model: .gitattributes" in told.stderr
        again = user.ask("models", "upload", str(folder))
        assert (again["created"], again["version"]) == (False, 1)
        shown = user.ask("models", "show", "کوچک")
        assert [version["kind"] for version in shown["versions"]] == ["base"]
        assert "safetensors" in user.run("models", "show", "کوچک").stdout

    def test_links_of_a_cache_are_sent_as_the_files_they_lead_to(
        self, user: Simorgh, folder: Path, tmp_path: Path
    ) -> None:
        """R-API-4, R-MODEL-1: a snapshot of a hub's cache consists of links."""
        linked = tmp_path / "linked"
        linked.mkdir()
        for path in folder.iterdir():
            (linked / path.name).symlink_to(path)
        assert user.ask("models", "upload", str(linked), "--name", "by links")["num_parameters"] == 32

    def test_an_archive_goes_up_as_it_is(self, user: Simorgh, tmp_path: Path) -> None:
        """R-API-4, R-MODEL-1: as the folder in it."""
        packed = tmp_path / "packed.tgz"
        packed.write_bytes(model_files.tar(model_files.base_folder()))
        assert user.ask("models", "upload", str(packed), "--kind", "tuned")["kind"] == "tuned"

    def test_a_refusal_names_the_file_and_what_to_do(self, user: Simorgh, folder: Path) -> None:
        """R-API-4, R-MODEL-1: the API's sentence."""
        (folder / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "m.M"}}))
        told = user.refuse("models", "upload", str(folder))
        assert told.startswith("simorgh: config.json names code of its own (auto_map)")

    def test_a_model_is_deleted_by_its_name(self, user: Simorgh, folder: Path) -> None:
        """R-API-4, R-MODEL-1: and is gone."""
        made = user.ask("models", "upload", str(folder), "--name", "to go")
        assert user.ask("models", "delete", "to go")["id"] == made["id"]
        assert "There is no model to go" in user.refuse("models", "show", "to go")
