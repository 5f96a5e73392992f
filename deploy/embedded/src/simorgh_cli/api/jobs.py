"""Owns the calls about jobs of every kind."""

from typing import Any

from simorgh_cli.api.connection import Connection, quoted


def listed(
    connection: Connection, limit: int, kind: str | None = None, status: str | None = None
) -> list[dict[str, Any]]:
    """The project's jobs, newest first."""
    return connection.pages("/api/jobs", limit, type=kind, status=status)


def cancel(connection: Connection, job_id: str) -> dict[str, Any]:
    """Ask that a job ends; the job as it is then."""
    data: dict[str, Any] = connection.call("POST", f"/api/jobs/{quoted(job_id)}/cancel")["data"]
    return data


def usage(connection: Connection, job_id: str) -> dict[str, Any]:
    """What the attempts of a job used."""
    data: dict[str, Any] = connection.get(f"/api/jobs/{quoted(job_id)}/usage")["data"]
    return data
