"""`make compose-env`: secrets that are made once, for the owner's eyes and the containers' (R-DEPLOY-2)."""

import base64
import json
import runpy
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.compose.rendering import FOLDER, rendered


@pytest.fixture(scope="module")
def writer() -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / "environment.py"))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestWrite:
    def test_all_secrets_of_compose_are_made(self, writer: dict[str, Any], tmp_path: Path) -> None:
        writer["write"](tmp_path)
        wanted = {Path(secret["file"]).name for secret in rendered()["secrets"].values()}
        assert wanted
        assert wanted - {path.name for path in (tmp_path / "secrets").iterdir()} == set()

    def test_nobody_else_gets_at_them(self, writer: dict[str, Any], tmp_path: Path) -> None:
        """Files are readable, as containers have users of their own; the folder lets nobody else in.

        Those that compose reads itself are its owner's alone.
        """
        writer["write"](tmp_path)
        assert mode(tmp_path / ".env") == 0o600
        assert mode(tmp_path / "secrets") == 0o700
        modes = {path.name: mode(path) for path in (tmp_path / "secrets").iterdir()}
        assert {name: found for name, found in modes.items() if name in writer["VARIABLES"]} == dict.fromkeys(
            writer["VARIABLES"], 0o600
        )
        assert {found for name, found in modes.items() if name not in writer["VARIABLES"]} == {0o444}

    def test_a_second_time_changes_nothing(self, writer: dict[str, Any], tmp_path: Path) -> None:
        assert writer["write"](tmp_path)
        (tmp_path / ".env").write_text("PUBLISH_API_PORT=1234\n")
        before = {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}
        assert writer["write"](tmp_path) == []
        assert (tmp_path / ".env").read_text() == "PUBLISH_API_PORT=1234\n"
        assert {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()} == before

    def test_what_is_missing_is_made_to_fit_what_is_there(self, writer: dict[str, Any], tmp_path: Path) -> None:
        writer["write"](tmp_path)
        (tmp_path / "secrets/database_url").unlink()
        (tmp_path / "secrets/io.env").unlink()
        password = (tmp_path / "secrets/postgres_app_password").read_text()
        assert writer["write"](tmp_path) == ["secrets/database_url", "secrets/io.env"]
        assert f":{password}@postgres:5432/" in (tmp_path / "secrets/io.env").read_text()
        assert f":{password}@postgres:5432/" in (tmp_path / "secrets/database_url").read_text()

    def test_no_two_platforms_have_the_same(self, writer: dict[str, Any], tmp_path: Path) -> None:
        made = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            writer["write"](tmp_path / name)
            made.append({path.name: path.read_text() for path in (tmp_path / name / "secrets").iterdir()})
        assert not set(made[0].values()) & set(made[1].values())
        assert min(len(secret) for secret in made[0].values()) >= 43

    def test_keys_are_of_the_form_that_the_services_ask_for(self, writer: dict[str, Any]) -> None:
        made = writer["secret_files"]({})
        assert len(base64.b64decode(made["manifest_key"])) == 32
        assert len(made["signing_key"]) >= 32
        identity = json.loads(made["seaweedfs.json"])["identities"][0]["credentials"][0]
        assert identity == {"accessKey": "simorgh", "secretKey": made["s3_secret_access_key"]}

    def test_the_file_of_settings_holds_no_secret(self, writer: dict[str, Any], tmp_path: Path) -> None:
        writer["write"](tmp_path)
        text = (tmp_path / ".env").read_text()
        assert not [path.name for path in (tmp_path / "secrets").iterdir() if path.read_text().strip() in text]

    def test_every_variable_of_the_file_is_used_by_compose(self, writer: dict[str, Any]) -> None:
        files = "".join((FOLDER / name).read_text("utf-8") for name in ("compose.yaml", "compose.gpu.yaml"))
        names = [line.partition("=")[0] for line in writer["ENVIRONMENT"].splitlines() if line[:1] not in {"", "#"}]
        assert len(names) > 15
        assert [name for name in names if not name.startswith("COMPOSE_") and f"${{{name}" not in files] == []
