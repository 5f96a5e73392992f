"""An environment that does not do is told in words, and no value of it (R-DEPLOY-2)."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.logging import cause
from simorgh_shared.settings import BrokerSettings, DatabaseSettings, SimorghSettings, StorageSettings, read_settings
from tests.support.environment import inherited

UNUSED = "postgresql+psycopg://u:hunter2@127.0.0.1:9/none"
PROGRAMS = ("simorgh-api", "simorgh-dispatcher", "simorgh-migrate", "simorgh-inference")


class TestReadSettings:
    def test_each_variable_that_is_missing_or_wrong_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SIMORGH_DATABASE_URL", raising=False)
        monkeypatch.setenv("SIMORGH_DATABASE_POOL_SIZE", "hunter2")
        with pytest.raises(InvalidInputError) as caught:
            read_settings(DatabaseSettings)
        assert "SIMORGH_DATABASE_URL is not set" in str(caught.value)
        assert "SIMORGH_DATABASE_POOL_SIZE is wrong" in str(caught.value)
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "value", "kind"),
        [
            ("DATABASE_URL", "mysql://u:hunter2@host/db", DatabaseSettings),
            ("DATABASE_URL", "hunter2", DatabaseSettings),
            ("REDIS_URL", "http://:hunter2@host", BrokerSettings),
            ("S3_ENDPOINT_URL", "hunter2", StorageSettings),
            ("LOG_LEVEL", "hunter2", SimorghSettings),
        ],
    )
    def test_addresses_are_looked_at_before_they_are_used(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str, kind: type[SimorghSettings]
    ) -> None:
        monkeypatch.setenv(f"SIMORGH_{name}", value)
        with pytest.raises(InvalidInputError, match=f"SIMORGH_{name} is wrong") as caught:
            read_settings(kind)
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
    def test_a_database_may_be_written_as_clouds_do(self, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
        monkeypatch.setenv("SIMORGH_DATABASE_URL", f"{scheme}://u:p@host/db?sslmode=require")
        read = read_settings(DatabaseSettings).database_url.get_secret_value()
        assert read == "postgresql+psycopg://u:p@host/db?sslmode=require"

    def test_what_is_right_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SIMORGH_REDIS_URL", "redis://here/0")
        assert read_settings(BrokerSettings).redis_url.get_secret_value() == "redis://here/0"


def said(name: str, *arguments: str, **variables: str) -> str:
    """What a program says that does not start: one line, no traceback and no secret."""
    command = [sys.executable, Path(sysconfig.get_path("scripts")) / name, *arguments]
    ended = subprocess.run(
        command, env=inherited() | variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode in (1, 2)
    assert "Traceback" not in ended.stderr
    assert "hunter2" not in ended.stderr
    return ended.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_service_without_its_variables_says_which(name: str) -> None:
    assert "is not set" in said(name)


def test_a_database_that_cannot_be_used_is_told_by_the_migration() -> None:
    assert "connection" in said("simorgh-migrate", SIMORGH_DATABASE_OWNER_URL=UNUSED)


def test_workers_serve_their_own_queues_alone() -> None:
    """A job that nobody there can do is not taken from those who can."""
    assert "no io here" in said("simorgh-voice", "--queues", "io")
    assert "no voice.cpu here" in said("simorgh-trainer-worker", "--queues", "io,voice.cpu")


def test_a_folder_that_is_not_there_is_not_served() -> None:
    assert "is no folder" in said("simorgh-inference", "--model-dir", "/nonexistent")


def test_a_cause_tells_of_connections_and_quotes_no_data() -> None:
    """What an operator needs of a wrong password; other errors may hold what people wrote."""
    driver = psycopg.OperationalError("connection failed: no such user\nmore")
    assert cause(sa.exc.OperationalError("SELECT", {}, driver)) == "OperationalError: connection failed: no such user"
    assert cause(ValueError("سلام")) == "ValueError"
