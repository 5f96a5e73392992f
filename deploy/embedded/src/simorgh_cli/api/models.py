"""Owns the calls about models of the registry."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from simorgh_cli.api.connection import Connection, quoted
from simorgh_cli.api.errors import body_of
from simorgh_cli.api.files import CountedFile, Moved

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


def delete(connection: Connection, model_id: str) -> dict[str, Any]:
    """Take a model away."""
    data: dict[str, Any] = connection.call("DELETE", f"/api/models/{quoted(model_id)}")["data"]
    return data
