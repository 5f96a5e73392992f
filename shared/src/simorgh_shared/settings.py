"""Settings that several services share: read from `SIMORGH_…` variables by an entry point and passed down."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from simorgh_shared.domain.errors import AppError, InvalidInputError
from simorgh_shared.secret_files import SecretFiles

SettingsT = TypeVar("SettingsT", bound="SimorghSettings")


def _postgres_url(given: SecretStr) -> SecretStr:
    scheme, _, rest = given.get_secret_value().partition("://")
    if scheme not in ("postgresql+psycopg", "postgresql", "postgres") or not rest:
        raise ValueError("write it as postgresql+psycopg://USER:PASSWORD@HOST:5432/NAME")
    return SecretStr(f"postgresql+psycopg://{rest}")


def _redis_url(given: SecretStr) -> SecretStr:
    if urlsplit(given.get_secret_value()).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("write it as redis://:PASSWORD@HOST:6379/0, or rediss:// over TLS")
    return given


def _http_url(given: str) -> str:
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write it as https://HOST or http://HOST:PORT")
    return given


PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Port = Annotated[int, Field(ge=0, le=65_535)]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)]


class Environment(StrEnum):
    """Where the service runs; production refuses missing secrets."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class SimorghSettings(BaseSettings):
    """Reads `SIMORGH_NAME` for a field `name`; a secret one also from the file that `SIMORGH_NAME_FILE` names."""

    model_config = SettingsConfigDict(env_prefix="SIMORGH_", extra="ignore", frozen=True)

    environment: Environment = Environment.PRODUCTION
    """In production, processes refuse missing or short secrets."""
    log_level: LogLevel = "info"
    """What is logged: debug, info, warning or error."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Where settings come from, the first that says something goes."""
        return init_settings, env_settings, SecretFiles(settings_cls)


def read_settings(kind: type[SettingsT]) -> SettingsT:
    """What the environment says.

    Raises: InvalidInputError that names each variable that is missing or wrong, and no value: it may be a secret.
    """
    try:
        return kind()
    except ValidationError as error:
        wrong = "; ".join(
            f"SIMORGH_{'_'.join(map(str, one['loc'])).upper()}"
            + (" is not set" if one["type"] == "missing" else f" is wrong: {one['msg'].removeprefix('Value error, ')}")
            for one in error.errors()
        )
    except SettingsError as error:  # what should be a list or a table and cannot be read as JSON
        wrong = str(error)
    raise InvalidInputError("settings_wrong", wrong=wrong)


def settings_or_exit(kind: type[SettingsT], program: str) -> SettingsT:
    """For an entry point: the settings, or its end with a sentence that says what to set."""
    try:
        return read_settings(kind)
    except AppError as error:
        sys.exit(f"{program} cannot start: {error}")


class MigrationSettings(SimorghSettings):
    """What `simorgh-migrate` needs."""

    database_owner_url: PostgresUrl
    """SQLAlchemy address with the role that owns the tables."""
    database_app_role: str | None = None
    """The role that the services use; it is granted what they need."""


class DatabaseSettings(SimorghSettings):
    """Access to PostgreSQL as the application role."""

    database_url: PostgresUrl
    """SQLAlchemy address with the role of the services."""
    database_direct_url: PostgresUrl | None = None
    """For LISTEN, where `database_url` goes through a pooler."""
    database_pool_size: int = 10
    """Connections of one process at most."""


class BrokerSettings(SimorghSettings):
    """Access to Redis."""

    redis_url: RedisUrl
    """With its password: redis://:password@host:6379/0."""


class StorageSettings(SimorghSettings):
    """Access to the S3-compatible storage."""

    s3_endpoint_url: HttpUrl | None = None
    """Where the S3 storage answers; none is Amazon's own."""
    s3_access_key_id: str
    """Of an identity that may read, write and list the bucket."""
    s3_secret_access_key: SecretStr
    """Of the same identity."""
    s3_bucket: str = "simorgh"
    """Where all files lie."""
    s3_region: str = "us-east-1"
    """As the storage asks; one of its own takes any."""


class DrainSettings(SimorghSettings):
    """How a process ends that was told to."""

    drain_grace_s: float = Field(25.0, gt=0)
    """A process that was told to end is gone so long after that: jobs are back in their queues, whatever they do;
    requests have ended, or are told to come again."""


class LeaseSettings(DrainSettings):
    """Time limits of the job engine (architecture, section 5); tests use short ones."""

    lease_s: float = Field(20.0, gt=0)
    """How long a claim holds without a heartbeat."""
    heartbeat_s: float = Field(5.0, gt=0)
    """How often a worker says that it lives; well below `lease_s`."""
    poll_s: float = Field(5.0, gt=0)
    """How often an idle worker looks for work without being rung, and the dispatcher looks at the queues."""
    reap_watch_s: float = Field(10.0, gt=0)
    """How long the reaper must have seen the same expired lease on its own clock."""
    reserve_after_s: float = Field(60.0, ge=0)
    """A job that needs several devices and has waited so long keeps those that fall free for itself."""
    retry_backoff_s: float = Field(10.0, ge=0)
    """Wait before the second retry; doubles with each further one. The first is at once."""
    stop_grace_s: float = Field(10.0, gt=0)
    """How long a job that was asked to leave may take to save, at least."""
    orphan_grace_s: float = Field(600.0, gt=0)
    """How long an attempt computes on and spools while the database does not answer."""
    liveness_s: float = Field(60.0, gt=0)
    """A child that says nothing for so long is stalled."""
    blob_unused_s: float = Field(86_400.0, gt=0)
    """A blob that nothing refers to is collected after so long."""


class MonitoringSettings(SimorghSettings):
    """How a process samples itself and its machine."""

    node_name: str | None = None
    """What the machine is called; None: its host name. In a pod, the name of the node that it is on."""
    monitoring_interval_s: float = Field(10.0, ge=0.2)
    """How often a process notes what its machine and it itself use."""


class TariffSettings(SimorghSettings):
    """What energy and devices cost, and what is assumed of processors that do not tell."""

    energy_watts_per_core: float = Field(10.0, gt=0)
    """What a processor core draws when it computes: server processors take some 5 to 15 W a core."""
    price_per_kwh: float | None = Field(None, ge=0)
    """Of electricity; none shows no costs of it."""
    price_per_device_hour: float | None = Field(None, ge=0)
    """Of a GPU that a job holds."""
    price_currency: str = "USD"
    """Of both prices."""


class WorkSettings(SimorghSettings):
    """Where a worker keeps the files of its attempts."""

    work_dir: Path = Path("work")
    """Files of running attempts; nothing in it is needed afterwards."""
