"""Owns signing in and out, and the credentials that need no file: an API key, and the local user of a data folder."""

from typing import Any

from simorgh_cli.api.connection import Connection, quoted
from simorgh_cli.api.errors import RefusedError, body_of
from simorgh_cli.backing.secrets import SecretStore

LOCAL_EMAIL = "local@simorgh.example"


class ApiKey:
    """A key of one project."""

    def __init__(self, key: str) -> None:
        self._key = key

    def token(self, connection: Connection) -> str:
        """The key itself."""
        del connection
        return self._key

    def renew(self, connection: Connection, stale: str) -> None:
        """There is no other."""


class LocalUser:
    """The user of a data folder, whose password is kept with the data; signs in when that is needed."""

    def __init__(self, store: SecretStore) -> None:
        self._password = store.get("local_user_password")
        self._token = ""

    def token(self, connection: Connection) -> str:
        """The newest token."""
        return self._token or self.renew(connection, "")

    def renew(self, connection: Connection, stale: str) -> str:
        """Sign in again: it costs one request in fifteen minutes."""
        del stale
        self._token = str(sign_in_local(connection, self._password)["access_token"])
        return self._token


def sign_in_local(connection: Connection, password: str) -> dict[str, Any]:
    """Sign in as the local user, who is registered at the first time."""
    try:
        return sign_in(connection, LOCAL_EMAIL, password)
    except RefusedError as error:
        if error.code != "wrong_credentials":
            raise
        return register(connection, LOCAL_EMAIL, password, "Local user")


def sign_in(connection: Connection, email: str, password: str) -> dict[str, Any]:
    """Tokens, and whose they are."""
    return _data(connection, "/api/auth/login", {"email": email, "password": password})


def register(connection: Connection, email: str, password: str, name: str | None = None) -> dict[str, Any]:
    """Make an account and sign in."""
    body = {"email": email, "password": password} | ({"name": name} if name else {})
    return _data(connection, "/api/auth/register", body)


def refresh(connection: Connection, refresh_token: str) -> dict[str, Any]:
    """New tokens for a refresh token, which is good for one use."""
    return _data(connection, "/api/auth/refresh", {"refresh_token": refresh_token})


def sign_out(connection: Connection) -> None:
    """End the session of the connection's token."""
    connection.call("POST", "/api/auth/logout")


def whoami(connection: Connection) -> dict[str, Any]:
    """Who is asking, and in which project."""
    data: dict[str, Any] = connection.get("/api/auth/me")["data"]
    return data


def keys(connection: Connection) -> list[dict[str, Any]]:
    """Keys of the project, without their secrets."""
    data: list[dict[str, Any]] = connection.get("/api/keys")["data"]
    return data


def make_key(connection: Connection, name: str, scopes: list[str]) -> dict[str, Any]:
    """A new key, with its secret."""
    data: dict[str, Any] = connection.call("POST", "/api/keys", {"name": name, "scopes": scopes})["data"]
    return data


def revoke_key(connection: Connection, key_id: str) -> None:
    """End a key."""
    connection.call("DELETE", f"/api/keys/{quoted(key_id)}")


def _data(connection: Connection, path: str, body: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = body_of(connection.ask_anonymously("POST", path, body))["data"]
    return data
