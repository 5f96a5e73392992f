"""An environment that does not do is told in words, and no value of it (R-DEPLOY-2)."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.settings import BrokerSettings, DatabaseSettings, read_settings
from tests.support.environment import inherited

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

    def test_what_is_right_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SIMORGH_REDIS_URL", "redis://here/0")
        assert read_settings(BrokerSettings).redis_url.get_secret_value() == "redis://here/0"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_service_without_its_variables_says_which(name: str) -> None:
    """One line, no traceback."""
    script = Path(sysconfig.get_path("scripts")) / name
    ended = subprocess.run(
        [sys.executable, script], env=inherited(), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "is not set" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
