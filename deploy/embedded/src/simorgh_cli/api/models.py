"""Owns the calls about models of the registry."""

from typing import Any

from simorgh_cli.api.connection import Connection, quoted


def listed(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The project's models, newest first."""
    return connection.pages("/api/models/list", limit)


def get(connection: Connection, model_id: str) -> dict[str, Any]:
    """One model with its versions."""
    data: dict[str, Any] = connection.get(f"/api/models/{quoted(model_id)}")["data"]
    return data


def delete(connection: Connection, model_id: str) -> dict[str, Any]:
    """Take a model away."""
    data: dict[str, Any] = connection.call("DELETE", f"/api/models/{quoted(model_id)}")["data"]
    return data
