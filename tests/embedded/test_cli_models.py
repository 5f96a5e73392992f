"""Models by the command line: up, looked at, down, verified and away."""

import base64
import json
import shutil
from pathlib import Path

import pytest

from simorgh_shared.attestation import SigningKey
from tests.embedded.program import Simorgh
from tests.support import model_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return model_files.write(tmp_path / "کوچک", model_files.base_folder() | {".gitattributes": b"*.bin lfs"})


@pytest.fixture(scope="module")
def got(user: Simorgh, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that went up and came down again, with the platform's key beside it."""
    place = tmp_path_factory.mktemp("got")
    files = model_files.base_folder() | {"sub/deeper/more.json": b"{}"}
    user.run("models", "upload", str(model_files.write(place / "sent", files)), "--name", "down again")
    told = user.run("models", "download", "down again", str(place / "model")).stdout
    assert "The signed manifest is" in told
    (place / "key.pem").write_text(user.run("models", "signing-key").stdout)
    return place


class TestAliases:
    def test_a_version_is_promoted_and_rolled_back(self, user: Simorgh, tmp_path: Path) -> None:
        """R-MODEL-2, R-API-4: what `model@champion` asks is set, shown, asked for and taken back by commands."""
        files = model_files.base_folder()
        made = []
        for number in (1, 2):
            place = model_files.write(tmp_path / str(number), files | {"more.json": json.dumps(number).encode()})
            user.run("models", "upload", str(place), "--name", "raised")
            made.append(user.ask("models", "show", "raised")["versions"][0]["version_id"])
        assert "It has no aliases" in user.run("models", "aliases", "raised").stderr
        for version_id in made:
            told = user.run("models", "promote", "raised", version_id).stdout
            assert told.startswith(f"raised@champion is {version_id} now")
        (alias,) = user.ask("models", "aliases", "raised")["aliases"]
        assert (alias["model_version_id"], alias["former_version_id"]) == (made[1], made[0])
        assert made[0] in user.run("models", "rollback", "raised").stdout
        assert made[1] in user.run("models", "promote", "raised", "v2").stdout
        assert "There is no model v3" in user.run("models", "promote", "raised", "v3", code=1).stderr
        assert made[0] in user.run("models", "rollback", "raised").stdout
        assert user.ask("models", "lineage", "raised@champion")["version_id"] == made[0]
        assert user.ask("models", "show", "raised@champion")["name"] == "raised"
        assert "There is no model" in user.run("models", "show", "raised@nobody", code=1).stderr


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


class TestDownload:
    def verify(self, user: Simorgh, got: Path, folder: Path, *more: str) -> list[str]:
        manifest = got / "model.manifest.json"
        return ["models", "verify", str(folder), "--manifest", str(manifest), "--key", str(got / "key.pem"), *more]

    def test_what_comes_down_are_the_files_that_went_up(self, user: Simorgh, got: Path) -> None:
        """R-API-4, R-MODEL-2: byte for byte, and nothing else."""
        sent, came = (
            {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
            for root in (got / "sent", got / "model")
        )
        assert sent == came
        assert "and not empty" in user.refuse("models", "download", "down again", str(got / "model"))

    def test_a_whole_folder_is_verified_offline(self, stranger: Simorgh, got: Path) -> None:
        """R-MODEL-2: by somebody who is signed in nowhere."""
        told = stranger.run(*self.verify(stranger, got, got / "model")).stdout
        assert told.startswith("All 5 files are those of the manifest.")
        assert "has signed it" in told

    def test_a_changed_byte_a_missing_and_a_foreign_file_are_named(
        self, stranger: Simorgh, got: Path, tmp_path: Path
    ) -> None:
        """R-MODEL-2: each with what is wrong with it."""
        folder = tmp_path / "changed"
        shutil.copytree(got / "model", folder)
        body = bytearray((folder / "model.safetensors").read_bytes())
        body[-1] ^= 1
        (folder / "model.safetensors").write_bytes(body)
        (folder / "README.md").unlink()
        (folder / "new.txt").write_text("x")
        told = stranger.refuse(*self.verify(stranger, got, folder)).splitlines()
        assert told[0] == "simorgh: 3 of 5 files are not those of the manifest."
        assert [line.split(":")[0].strip() for line in told[1:]] == ["README.md", "new.txt", "model.safetensors"]

    def test_a_changed_predicate_and_a_wrong_key_are_found(self, stranger: Simorgh, got: Path, tmp_path: Path) -> None:
        """R-MODEL-2: what was signed is files and lineage, by one key."""
        envelope = json.loads((got / "model.manifest.json").read_text())
        payload = base64.b64decode(envelope["payload"]).replace(b'"kind":"upload"', b'"kind":"job"')
        changed = tmp_path / "changed.json"
        changed.write_text(json.dumps(envelope | {"payload": base64.b64encode(payload).decode()}))
        whole = str(got / "model.manifest.json")
        for manifest, key in (
            (str(changed), (got / "key.pem").read_text()),
            (whole, SigningKey(base64.b64encode(bytes(32)).decode()).public_pem),
        ):
            (tmp_path / "key.pem").write_text(key)
            asked = ["--manifest", manifest, "--key", str(tmp_path / "key.pem")]
            told = stranger.refuse("models", "verify", str(got / "model"), *asked)
            assert "is not to be believed: it was not signed by the key" in told
