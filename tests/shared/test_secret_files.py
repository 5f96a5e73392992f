"""Secrets that come as files (R-DEPLOY-2: no secret in an image, a command or a variable)."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.settings import BrokerSettings, DatabaseSettings, SimorghSettings


class Keys(SimorghSettings):
    """Several secrets in one variable, as the gateway's former keys."""

    former_keys: Annotated[list[SecretStr], NoDecode] = Field(default_factory=list)
    plain: str = "as it is"

    @field_validator("former_keys", mode="before")
    @classmethod
    def _split(cls, given: object) -> object:
        return given.split(",") if isinstance(given, str) else given


class TestSecretFiles:
    def test_a_secret_is_read_from_the_file_without_its_line_break(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "redis").write_text("redis://:pässword@redis/0\n", "utf-8")
        monkeypatch.setenv("SIMORGH_REDIS_URL_FILE", str(tmp_path / "redis"))
        assert BrokerSettings().redis_url.get_secret_value() == "redis://:pässword@redis/0"

    def test_the_variable_itself_goes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "redis").write_text("redis://of-the-file/0")
        monkeypatch.setenv("SIMORGH_REDIS_URL_FILE", str(tmp_path / "redis"))
        monkeypatch.setenv("SIMORGH_REDIS_URL", "redis://of-the-variable/0")
        assert BrokerSettings().redis_url.get_secret_value() == "redis://of-the-variable/0"

    def test_secrets_that_may_be_missing_and_lists_come_so_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "direct").write_text("postgresql+psycopg://direct/db")
        (tmp_path / "keys").write_text("one,two\n")
        monkeypatch.setenv("SIMORGH_DATABASE_URL", "postgresql://pooled/db")
        monkeypatch.setenv("SIMORGH_DATABASE_DIRECT_URL_FILE", str(tmp_path / "direct"))
        monkeypatch.setenv("SIMORGH_FORMER_KEYS_FILE", str(tmp_path / "keys"))
        direct = DatabaseSettings().database_direct_url
        assert direct is not None
        assert direct.get_secret_value() == "postgresql+psycopg://direct/db"
        assert [key.get_secret_value() for key in Keys().former_keys] == ["one", "two"]

    def test_what_is_no_secret_is_read_from_no_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "plain").write_text("of the file")
        monkeypatch.setenv("SIMORGH_PLAIN_FILE", str(tmp_path / "plain"))
        assert Keys().plain == "as it is"

    def test_a_file_that_is_not_there_is_told_with_its_variable(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SIMORGH_REDIS_URL_FILE", str(tmp_path / "nothing"))
        with pytest.raises(InvalidInputError, match=r"SIMORGH_REDIS_URL_FILE names .*nothing"):
            BrokerSettings()

    def test_without_variable_and_file_the_setting_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SIMORGH_REDIS_URL", raising=False)
        with pytest.raises(ValidationError, match="redis_url"):
            BrokerSettings()
