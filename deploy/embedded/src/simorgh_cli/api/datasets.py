"""Owns the calls about datasets. Files go up and come down in pieces: their size takes no memory."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from simorgh_cli.api.connection import Connection, quoted
from simorgh_cli.api.errors import RefusedError, body_of
from simorgh_cli.api.files import CountedFile, Moved
from simorgh_shared.datasets.files import FORMATS, suffix_of
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.domain.messages import sentence

_CHECK_S = 300.0  # after the last byte the server checks what is left and stores it
_CHUNK_BYTES = 1 << 20
_MOST_LISTED = 10_000


def upload(
    connection: Connection, files: Mapping[str, Path], fields: Mapping[str, str], moved: Moved = lambda _bytes: None
) -> dict[str, Any]:
    """Send the files of a dataset (`dataset`, and `test` if there is one) and what is said of them."""
    with ExitStack() as stack:

        def form() -> dict[str, Any]:
            opened = {field: stack.enter_context(CountedFile(path, moved)) for field, path in files.items()}
            parts = {field: (files[field].name, file, "application/octet-stream") for field, file in opened.items()}
            return {"files": parts, "data": dict(fields)}

        with connection.opened("POST", "/api/datasets/upload", form, silence_s=_CHECK_S) as answer:
            answer.read()
            data: dict[str, Any] = body_of(answer)["data"]
            return data


def listed(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The project's datasets, newest first."""
    return connection.pages("/api/datasets/list", limit)


def get(connection: Connection, dataset_id: str) -> dict[str, Any]:
    """One dataset."""
    data: dict[str, Any] = connection.get(f"/api/datasets/{quoted(dataset_id)}")["data"]
    return data


def find(connection: Connection, named: str) -> dict[str, Any]:
    """One dataset by its id, or the newest of a name; the name's extension may be left out where one dataset fits.

    Raises: RefusedError where there is none, InvalidInputError where the name may mean several.
    """
    try:
        return get(connection, named)
    except RefusedError as error:
        # A name with a slash in it is no part of a path of the API's.
        if error.code not in ("dataset_not_found", "not_found_route"):
            raise
        # Ids do not look like names: whoever gives a name finds it among the newest.
        known = listed(connection, _MOST_LISTED)
        fitting = [one for one in known if one["name"] == named][:1]
        fitting = fitting or [one for one in known if one["name"].removesuffix(_extension(one["name"])) == named]
        if not fitting:
            reason = sentence("dataset_not_found", {"dataset_id": named})
            raise RefusedError(error.status, "dataset_not_found", reason) from error
    if len(fitting) > 1:
        names = ", ".join(f"{one['name']} ({one['id']})" for one in fitting)
        raise InvalidInputError("dataset_ambiguous", count=len(fitting), name=named, names=names)
    return get(connection, fitting[0]["id"])


def find_id(connection: Connection, named: str) -> str:
    """The id of the dataset that `find` finds."""
    return str(find(connection, named)["id"])


def _extension(name: str) -> str:
    """The extension as it is written; none where it is of no file that is taken."""
    suffix = suffix_of(name)
    return name[len(name) - len(suffix) :] if suffix in FORMATS else ""


def report(connection: Connection, dataset_id: str) -> Iterator[bytes]:
    """The page with what is known of it."""
    with connection.opened("GET", f"/api/datasets/{quoted(dataset_id)}/report", dict) as answer:
        yield from answer.iter_bytes(_CHUNK_BYTES)


def statistics(connection: Connection, dataset_id: str, version: int) -> dict[str, Any]:
    """All that is known of a version, once it is."""
    path = f"/api/datasets/{quoted(dataset_id)}/statistics"
    data: dict[str, Any] = connection.get(path, version=version)["data"]
    return data


def preview(connection: Connection, dataset_id: str, limit: int, offset: int) -> dict[str, Any]:
    """Some rows of it."""
    data: dict[str, Any] = connection.get(f"/api/datasets/preview/{quoted(dataset_id)}", limit=limit, offset=offset)[
        "data"
    ]
    return data


def download(connection: Connection, dataset_id: str, split: str) -> Iterator[bytes]:
    """The bytes of a split."""
    asked = {"params": {"split": split}}
    with connection.opened("GET", f"/api/datasets/{quoted(dataset_id)}/download", lambda: asked) as answer:
        yield from answer.iter_bytes(_CHUNK_BYTES)


def delete(connection: Connection, dataset_id: str) -> dict[str, Any]:
    """Take a dataset away."""
    data: dict[str, Any] = connection.call("DELETE", f"/api/datasets/{quoted(dataset_id)}")["data"]
    return data
