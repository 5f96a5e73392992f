"""Writes what compose needs to know and keeps from others: `.env` and the folder `secrets`. Nothing is overwritten.

Containers that start no processes of their own read secrets as files. The others are given variables, by a file of each
kind: their children run as the same user and could read a file, but not the variables of their parent.
"""

import base64
import json
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = """\
# Written by `make compose-env`, once. No secret stands here: those lie in the folder `secrets`.
COMPOSE_PROJECT_NAME=simorgh
# Add compose.gpu.yaml for NVIDIA GPUs: COMPOSE_FILE=compose.yaml:compose.gpu.yaml
COMPOSE_FILE=compose.yaml
# Of tls and grafana, by commas.
COMPOSE_PROFILES=
# Where images come from: a registry's folder, or what `make images` names them.
IMAGES=simorgh
VERSION=0.1.0
# Who reaches the platform: 127.0.0.1 is this machine alone. Others should come through the profile tls.
PUBLISH_ADDRESS=127.0.0.1
PUBLISH_API_PORT=8000
PUBLISH_STORAGE_PORT=8333
PUBLISH_PROMETHEUS_PORT=9090
PUBLISH_GRAFANA_PORT=3000
# The storage as clients reach it, for files that go straight there.
STORAGE_PUBLIC_URL=http://127.0.0.1:8333
# The profile tls: the name that the certificate is for, and its ports.
TLS_DOMAIN=localhost
TLS_STORAGE_DOMAIN=storage.localhost
PUBLISH_TLS_ADDRESS=0.0.0.0
PUBLISH_HTTP_PORT=80
PUBLISH_HTTPS_PORT=443
# Memory that each part may take at most; docs/one-machine.md tells what they take.
API_MEMORY=2g
TRAINER_MEMORY=8g
IO_MEMORY=4g
INFERENCE_MEMORY=8g
VOICE_MEMORY=6g
POSTGRES_MEMORY=2g
VALKEY_MEMORY=1g
SEAWEEDFS_MEMORY=2g
LOG_LEVEL=info
"""
_FOLDER_MODE = 0o700
"""Nobody else enters the folder, so that its files may be readable: containers have users of their own."""
_FILE_MODE = 0o444
_OWN_MODE = 0o600
VARIABLES = {
    "api.env": ("database_url", "redis_url", "s3_secret_access_key", "signing_key", "manifest_key", "internal_key"),
    "worker.env": ("database_url", "redis_url", "s3_secret_access_key"),
    "io.env": ("database_url", "redis_url", "s3_secret_access_key", "internal_key"),
    "inference.env": ("database_url", "s3_secret_access_key", "internal_key"),
}
"""Which secrets are variables of a kind of container. Compose itself reads these files, nobody else."""


def secret_files(made: dict[str, str]) -> dict[str, str]:
    """What each file holds: those that are there stay as they are, and the others are made to fit them."""

    def get(name: str, make: Callable[[], str]) -> str:
        return made.setdefault(name, make())

    def word() -> str:
        return secrets.token_urlsafe(32)

    owner, app = get("postgres_owner_password", word), get("postgres_app_password", word)
    get("postgres_superuser_password", word)
    get("database_owner_url", lambda: f"postgresql+psycopg://simorgh_owner:{owner}@postgres:5432/simorgh")
    get("database_url", lambda: f"postgresql+psycopg://simorgh_app:{app}@postgres:5432/simorgh")
    broker = get("valkey_password", word)
    get("valkey.conf", lambda: f"requirepass {broker}\n")
    get("redis_url", lambda: f"redis://:{broker}@valkey:6379/0")
    storage = get("s3_secret_access_key", word)
    get("seaweedfs.json", lambda: _identities(storage))
    get("signing_key", lambda: secrets.token_urlsafe(48))
    get("internal_key", word)
    get("manifest_key", lambda: base64.b64encode(secrets.token_bytes(32)).decode())
    get("grafana_admin_password", word)
    for file, names in VARIABLES.items():
        get(file, lambda names=names: "".join(f"SIMORGH_{name.upper()}={made[name]}\n" for name in names))
    return made


def write(folder: Path, environment: str = ENVIRONMENT) -> list[str]:
    """Write what is missing; its names."""
    kept = folder / "secrets"
    kept.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    kept.chmod(_FOLDER_MODE)
    there = {path.name: path.read_text("utf-8") for path in kept.iterdir() if path.is_file()}
    written = []
    for name, text in secret_files(dict(there)).items():
        if name not in there:
            _create(kept / name, text, _OWN_MODE if name in VARIABLES else _FILE_MODE)
            written.append(f"secrets/{name}")
    if not (folder / ".env").exists():
        _create(folder / ".env", environment, _OWN_MODE)
        written.append(".env")
    return written


def _identities(secret_access_key: str) -> str:
    identity = {
        "name": "simorgh",
        "credentials": [{"accessKey": "simorgh", "secretKey": secret_access_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return json.dumps({"identities": [identity]})


def _create(path: Path, text: str, mode: int) -> None:
    """A new file; one that appeared meanwhile is left alone."""
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, "utf-8")
    path.chmod(mode)


if __name__ == "__main__":
    names = write(HERE)
    sys.stdout.write(f"{HERE}: {len(names)} files written\n" if names else f"{HERE}: all is there already\n")
