"""Owns the variables that the services get: all that they know about where they run."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from simorgh_cli.backing.ports import Ports
from simorgh_cli.backing.secrets import SecretStore, write_private
from simorgh_cli.backing.servers import ALL, Endpoints
from simorgh_cli.processes import TORCH_ENVIRONMENT, Service
from simorgh_shared.domain.errors import InvalidInputError

OWNER_URL = "SIMORGH_DATABASE_OWNER_URL"
_EXTERNAL = {
    "postgres": "SIMORGH_DATABASE_URL",
    "valkey": "SIMORGH_REDIS_URL",
    "seaweed": "SIMORGH_S3_ENDPOINT_URL",
}
_PREFERRED_API_PORT = 8000


def embedded_servers(given: Mapping[str, str]) -> list[str]:
    """The servers to start: those whose address was not given."""
    return [name for name in ALL if not given.get(_EXTERNAL[name])]


def platform_environment(
    given: Mapping[str, str], data_dir: Path, at: Endpoints, ports: Ports, store: SecretStore
) -> dict[str, str]:
    """The variables for all services, with the owner's database address for the migration."""
    own = _database(given, at) | _broker(given, at) | _storage(given, at)
    inference_port = int(given.get("SIMORGH_INFERENCE_PORT") or ports.get("inference"))
    api_port = given.get("SIMORGH_API_PORT") or str(ports.get("api", prefer=_PREFERRED_API_PORT))
    signing_key = data_dir / "signing.key"
    if not signing_key.exists():
        write_private(signing_key, secrets.token_urlsafe(48))
    for folder in ("work", "cache", "voice-cache", "spool"):
        (data_dir / folder).mkdir(exist_ok=True, mode=0o700)
    defaults = {
        "SIMORGH_ENVIRONMENT": "development",
        "SIMORGH_API_HOST": "127.0.0.1",
        "SIMORGH_API_PORT": api_port,
        "SIMORGH_INFERENCE_HOST": "127.0.0.1",
        "SIMORGH_INFERENCE_PORT": str(inference_port),
        "SIMORGH_INFERENCE_URL": f"http://127.0.0.1:{inference_port}",
        "SIMORGH_INTERNAL_KEY": store.get("internal_key"),
        "SIMORGH_SIGNING_KEY_FILE": str(signing_key),
        "SIMORGH_MANIFEST_KEY": store.get("manifest_key"),
        "SIMORGH_WORK_DIR": str(data_dir / "work"),
        "SIMORGH_CACHE_DIR": str(data_dir / "cache"),
        "SIMORGH_VOICE_CACHE_DIR": str(data_dir / "voice-cache"),
        "SIMORGH_UPLOAD_SPOOL_DIR": str(data_dir / "spool"),
        "PYTHONUNBUFFERED": "1",
    }
    return {**defaults, **given, **own}


def server_variables(given: Mapping[str, str], at: Endpoints) -> dict[str, str]:
    """Where database and storage are, and who their owner is there."""
    return _database(given, at) | _storage(given, at)


def service_environment(shared: Mapping[str, str], service: Service, ports: Ports) -> dict[str, str]:
    """One service's variables. The owner's database address stays with the migration."""
    own = {name: value for name, value in shared.items() if name != OWNER_URL}
    if service.metrics_port:
        own["SIMORGH_METRICS_PORT"] = str(ports.get(f"metrics_{service.name}"))
    return own | TORCH_ENVIRONMENT if service.loads_torch else own


def script(name: str) -> str:
    """The console script of the environment that we run in."""
    import sysconfig

    return str(Path(sysconfig.get_path("scripts")) / name)


def inherited() -> dict[str, str]:
    """This process's environment, where its entry point reads it."""
    return dict(os.environ)


def _database(given: Mapping[str, str], at: Endpoints) -> dict[str, str]:
    url = given.get("SIMORGH_DATABASE_URL")
    if not url:
        return {
            "SIMORGH_DATABASE_URL": at.database_url,
            OWNER_URL: at.database_owner_url,
            "SIMORGH_DATABASE_APP_ROLE": at.database_app_role,
        }
    owner_url = given.get(OWNER_URL) or url
    role = given.get("SIMORGH_DATABASE_APP_ROLE") or urlsplit(url).username or ""
    return {"SIMORGH_DATABASE_URL": url, OWNER_URL: owner_url, "SIMORGH_DATABASE_APP_ROLE": role}


def _broker(given: Mapping[str, str], at: Endpoints) -> dict[str, str]:
    return {"SIMORGH_REDIS_URL": given.get("SIMORGH_REDIS_URL") or at.redis_url}


def _storage(given: Mapping[str, str], at: Endpoints) -> dict[str, str]:
    if not given.get("SIMORGH_S3_ENDPOINT_URL"):
        return {
            "SIMORGH_S3_ENDPOINT_URL": at.s3_endpoint_url,
            "SIMORGH_S3_ACCESS_KEY_ID": at.s3_access_key_id,
            "SIMORGH_S3_SECRET_ACCESS_KEY": at.s3_secret_access_key,
            "SIMORGH_S3_BUCKET": at.s3_bucket,
            "SIMORGH_S3_REGION": at.s3_region,
        }
    for name in ("SIMORGH_S3_ACCESS_KEY_ID", "SIMORGH_S3_SECRET_ACCESS_KEY"):
        if not given.get(name):
            raise InvalidInputError("external_storage_key_missing", name=name)
    return {}
