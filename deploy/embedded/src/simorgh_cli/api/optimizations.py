"""Owns the calls about other forms of models."""

from collections.abc import Mapping
from typing import Any

from simorgh_cli.api.connection import Connection, quoted

_PATH = "/api/optimizations"


def start(connection: Connection, body: Mapping[str, Any]) -> str:
    """Queue one; the id of its job."""
    return str(connection.call("POST", _PATH, body)["data"]["job"]["id"])


def get(connection: Connection, job_id: str) -> dict[str, Any]:
    """How far it is, with its report once that is there."""
    data: dict[str, Any] = connection.get(f"{_PATH}/{quoted(job_id)}")["data"]
    return data


def check(connection: Connection, job_id: str) -> str:
    """Have both forms measured again; the id of the job that does it."""
    return str(connection.call("POST", f"{_PATH}/{quoted(job_id)}/check", {})["data"]["job"]["id"])


def listed(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The newest first."""
    data: list[dict[str, Any]] = connection.get(f"{_PATH}?limit={limit}")["data"]
    return data
