"""What the gateway is told by its environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from simorgh_shared.attestation import SigningKey
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.settings import (
    BrokerSettings,
    DatabaseSettings,
    DrainSettings,
    Environment,
    HttpUrl,
    MonitoringSettings,
    Port,
    SimorghSettings,
    StorageSettings,
)
from simorgh_shared.storage.incoming import MAX_PART_BYTES, MIN_PART_BYTES

MIN_SIGNING_KEY_BYTES = 32


class LimitSettings(SimorghSettings):
    """How many requests come at once at most (`_burst`), and how many a second on the long run."""

    reads_burst: float = Field(2_000, ge=1)
    """Reading requests of a user or key, at once."""
    reads_per_s: float = Field(100, gt=0)
    """The same, on the long run."""
    writes_burst: float = Field(600, ge=1)
    """Changing requests of a user or key, at once."""
    writes_per_s: float = Field(20, gt=0)
    """The same, on the long run."""
    chats_burst: float = Field(600, ge=1)
    """Questions of a user or key to models, at once."""
    chats_per_s: float = Field(20, gt=0)
    """The same, on the long run."""
    registrations_burst: float = Field(500, ge=1)
    """New accounts from one address, at once."""
    registrations_per_s: float = Field(0.2, gt=0)
    """The same, on the long run."""
    guesses_burst: float = Field(10, ge=1)
    """Wrong passwords for one account from one address, at once."""
    guesses_per_s: float = Field(0.1, gt=0)
    """The same, on the long run: 8,640 a day."""
    address_guesses_burst: float = Field(100, ge=1)
    """Wrong passwords from one address for any account, at once."""
    address_guesses_per_s: float = Field(0.5, gt=0)
    """The same, on the long run."""
    account_guesses_burst: float = Field(60, ge=1)
    """Wrong passwords for one account from addresses that are new to it, at once."""
    account_guesses_per_s: float = Field(0.5, gt=0)
    """The same, on the long run: more than one address gets by itself."""


class QuotaSettings(SimorghSettings):
    """What a project may use, where the table `project_quotas` says nothing else."""

    quota_queued_jobs: int = Field(1_000, ge=0)
    """Jobs of a project that wait at once."""
    quota_stored_bytes: int = Field(500 << 30, ge=0)
    """All files of a project."""
    quota_gpu_hours: float = Field(2_000, ge=0)
    """Of a project, within `quota_window_days`."""
    quota_window_days: float = Field(30, gt=0)
    """GPU hours are counted over so long."""


class DirectUploadSettings(SimorghSettings):
    """Files that clients send straight to storage."""

    s3_public_url: HttpUrl | None = None
    """The storage as clients reach it, where they do not by `s3_endpoint_url`."""
    max_direct_upload_bytes: int = Field(100 << 30, gt=0)
    """The largest file that goes straight to storage."""
    upload_part_bytes: int = Field(16 << 20, ge=MIN_PART_BYTES, le=MAX_PART_BYTES)
    """The size of a part where the client asks for no other; larger for files of more than 10,000 of them."""
    upload_url_s: int = Field(3_600, ge=60, le=7 * 86_400)
    """For so long a signed address is good."""
    max_open_uploads: int = Field(20, ge=1)
    """Of a project at once."""


class VoiceSettings(SimorghSettings):
    """How much is heard and spoken at once, and how long a request waits for it."""

    max_audio_bytes: int = Field(2 << 30, gt=0)
    """The largest audio file that is taken."""
    max_audio_s: float = Field(8 * 3_600.0, gt=0)
    """The longest audio that is heard."""
    short_audio_s: float = Field(30.0, gt=0)
    """What is longer waits on the lane of long files, and under /api is answered with its job."""
    short_audio_bytes: int = Field(16 << 20, gt=0)
    """Larger files go to that lane at once: 30 s take no more in any usual form."""
    max_speech_chars: int = Field(100_000, ge=1)
    """The longest text that is spoken."""
    short_speech_chars: int = Field(2_000, ge=1)
    """A longer text waits on the lane of long work, and under /api is answered with its job."""
    voice_wait_s: float = Field(30.0, gt=0)
    """So long a voice request under /api waits before it is answered with its job."""
    v1_audio_wait_s: float = Field(300.0, gt=0)
    """So long a voice request under /v1 waits; OpenAI's clients give up after 600 s."""


class ApiSettings(
    DatabaseSettings,
    BrokerSettings,
    StorageSettings,
    LimitSettings,
    QuotaSettings,
    DirectUploadSettings,
    VoiceSettings,
    MonitoringSettings,
    DrainSettings,
):
    """Settings of `simorgh-api`."""

    api_host: str = "127.0.0.1"
    """The address that the gateway listens on; 0.0.0.0 in containers."""
    api_port: Port = 8000
    """The port that it listens on."""
    signing_key: SecretStr | None = None
    """Signs access tokens; at least 32 bytes."""
    manifest_key: SecretStr | None = None
    """Signs the manifests of models: 32 bytes in base64, or an Ed25519 private key in PEM."""
    verification_keys: Annotated[list[SecretStr], NoDecode] = Field(default_factory=list)
    """Former signing keys, separated by commas, whose tokens are still taken."""
    access_token_s: int = Field(900, gt=0)
    """For so long an access token is good."""
    refresh_token_s: int = Field(30 * 86_400, gt=0)
    """For so long a session can be renewed."""
    ticket_first_use_s: int = Field(30, gt=0)
    """A ticket's stream must be opened first within so long."""
    cors_origins: Annotated[list[str], NoDecode] = Field(default_factory=list)
    """Origins of frontends, separated by commas."""
    inference_url: HttpUrl = "http://127.0.0.1:8100"
    """Where the inference server answers."""
    internal_key: SecretStr | None = None
    """With this key the gateway asks the inference server."""
    max_upload_bytes: int = Field(100 << 20, gt=0)
    """The largest file that is taken in one request."""
    max_file_bytes: int = Field(512 << 20, gt=0)
    """The largest file that /v1/files takes."""
    max_model_bytes: int = Field(16 << 30, gt=0)
    """The largest model folder that is taken in one request."""
    upload_spool_dir: Path | None = None
    """Where models and audio lie until they are stored; else the system's folder for temporary files."""

    @field_validator("cors_origins", "verification_keys", mode="before")
    @classmethod
    def _split(cls, given: object) -> object:
        return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given


def manifest_key(settings: ApiSettings) -> SigningKey | None:
    """The key that signs manifests of models; None where there is none.

    Raises: InvalidInputError for one that is none.
    """
    secret = settings.manifest_key.get_secret_value() if settings.manifest_key is not None else ""
    try:
        return SigningKey(secret) if secret else None
    except ValueError as error:
        raise InvalidInputError("manifest_key_unfit", reason=str(error)) from error


def signing_secret(settings: ApiSettings) -> str:
    """The secret that signs tokens.

    Raises: InvalidInputError when there is none, or in production one that is too short.
    """
    secret = settings.signing_key.get_secret_value() if settings.signing_key is not None else ""
    if not secret:
        raise InvalidInputError("signing_key_missing", minimum=MIN_SIGNING_KEY_BYTES)
    length = len(secret.encode())
    if length < MIN_SIGNING_KEY_BYTES and settings.environment is Environment.PRODUCTION:
        raise InvalidInputError("signing_key_short", length=length, minimum=MIN_SIGNING_KEY_BYTES)
    return secret
