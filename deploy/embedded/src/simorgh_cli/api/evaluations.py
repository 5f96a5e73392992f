"""Owns the calls about models that are compared by an audio set."""

from collections.abc import Iterator, Mapping
from typing import Any

from simorgh_cli.api.connection import Connection, quoted

_CHUNK_BYTES = 64 << 10
_PATH = "/api/stt/evaluations"


def start(connection: Connection, body: Mapping[str, Any]) -> str:
    """Queue one; the id of its job."""
    return str(connection.call("POST", _PATH, body)["data"]["id"])


def get(connection: Connection, job_id: str) -> dict[str, Any]:
    """How far it is, with its report once that is there."""
    data: dict[str, Any] = connection.get(f"{_PATH}/{quoted(job_id)}")["data"]
    return data


def page(connection: Connection, job_id: str) -> Iterator[bytes]:
    """The report for a browser."""
    return _file(connection, job_id, "report")


def samples(connection: Connection, job_id: str) -> Iterator[bytes]:
    """All samples, a line of JSON each."""
    return _file(connection, job_id, "samples")


def progress(connection: Connection, job_id: str) -> dict[str, Any]:
    """How much audio all models together have heard, as the progress of one job tells it."""
    found = get(connection, job_id)
    parts = [one["progress"] for one in found["models"]]
    total_s = max((one.get("total_s") or 0.0 for one in parts), default=0.0)  # each hears the same clips
    if not total_s:
        return {}
    num_models = len(found["job"]["spec"]["models"])
    return {"audio_s": sum(one.get("audio_s") or 0.0 for one in parts), "total_s": total_s * num_models}


def _file(connection: Connection, job_id: str, name: str) -> Iterator[bytes]:
    with connection.opened("GET", f"{_PATH}/{quoted(job_id)}/{name}", dict) as answer:
        yield from answer.iter_bytes(_CHUNK_BYTES)
