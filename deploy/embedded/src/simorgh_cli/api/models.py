"""Owns the calls about models of the registry."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from simorgh_cli.api.connection import Connection, quoted
from simorgh_cli.api.errors import body_of
from simorgh_cli.api.files import CountedFile, Moved

_CHUNK_BYTES = 1 << 20
_CHECK_S = 3_600.0  # after the last byte the server reads and stores all of it: 16 GB at 200 MB/s, twice


def listed(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The project's models, newest first."""
    return connection.pages("/api/models/list", limit)


def upload(
    connection: Connection, files: Mapping[str, Path], fields: Mapping[str, str], moved: Moved = lambda _bytes: None
) -> dict[str, Any]:
    """Send a folder's files, each under its path in the folder."""
    with ExitStack() as stack:

        def form() -> dict[str, Any]:
            opened = [(path, stack.enter_context(CountedFile(file, moved))) for path, file in files.items()]
            return {
                "files": [("files", (path, file, "application/octet-stream")) for path, file in opened],
                "data": dict(fields),
            }

        with connection.opened("POST", "/api/models/upload", form, silence_s=_CHECK_S) as answer:
            answer.read()
            data: dict[str, Any] = body_of(answer)["data"]
            return data


def get(connection: Connection, model_id: str) -> dict[str, Any]:
    """One model with its versions."""
    data: dict[str, Any] = connection.get(f"/api/models/{quoted(model_id)}")["data"]
    return data


def get_version(connection: Connection, model: str) -> str:
    """The version that a name means: itself, a model's newest, or what `model@alias` points at."""
    name, _, alias = model.partition("@")
    if alias:
        return next((one["model_version_id"] for one in aliases(connection, name) if one["name"] == alias), model)
    versions = get(connection, model)["versions"]
    newest: str = versions[0]["version_id"]
    return model if model in {version["version_id"] for version in versions} else newest


def aliases(connection: Connection, model: str) -> list[dict[str, Any]]:
    """A model's aliases, what each points at, and what it pointed at before."""
    data: list[dict[str, Any]] = connection.get(f"/api/models/{quoted(model)}/aliases")["data"]
    return data


def point(connection: Connection, model: str, alias: str, version_id: str) -> dict[str, Any]:
    """Point an alias at a version."""
    path = f"/api/models/{quoted(model)}/aliases/{quoted(alias)}"
    data: dict[str, Any] = connection.call("PUT", path, {"version_id": version_id})["data"]
    return data


def roll_back(connection: Connection, model: str, alias: str) -> dict[str, Any]:
    """Point an alias at what it pointed at before."""
    path = f"/api/models/{quoted(model)}/aliases/{quoted(alias)}/rollback"
    data: dict[str, Any] = connection.call("POST", path)["data"]
    return data


def manifest(connection: Connection, version_id: str) -> dict[str, Any]:
    """The signed statement of a version's files and lineage."""
    data: dict[str, Any] = connection.get(f"/api/models/{quoted(version_id)}/manifest")["data"]
    return data


def lineage(connection: Connection, model: str) -> dict[str, Any]:
    """What a version was made from, and what was made from it."""
    data: dict[str, Any] = connection.get(f"/api/models/{quoted(model)}/lineage")["data"]
    return data


def signing_key(connection: Connection) -> dict[str, Any]:
    """The public key that tells whether a manifest was signed there."""
    data: dict[str, Any] = connection.get("/api/models/signing-key")["data"]
    return data


def download(connection: Connection, version_id: str) -> Iterator[bytes]:
    """The files of a version as a tar archive, in pieces."""
    with connection.opened("GET", f"/api/models/{quoted(version_id)}/download", dict) as answer:
        yield from answer.iter_bytes(_CHUNK_BYTES)


def delete(connection: Connection, model_id: str) -> dict[str, Any]:
    """Take a model away."""
    data: dict[str, Any] = connection.call("DELETE", f"/api/models/{quoted(model_id)}")["data"]
    return data
