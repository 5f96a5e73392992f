"""Owns who is signed in where: one private file below XDG_CONFIG_HOME, shared by all commands that run at once."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from simorgh_cli.api import accounts
from simorgh_cli.api.connection import Connection
from simorgh_cli.backing.secrets import write_private
from simorgh_shared.domain.errors import InvalidInputError, UnauthenticatedError

_EARLY_S = 30.0  # a token that ends while a request is on its way is renewed before


@dataclass(frozen=True)
class Place:
    """An API, and the data folder of the platform that serves it where it is one of this machine's."""

    url: str
    data_dir: str | None = None


@dataclass(frozen=True)
class Login:
    """Who is signed in at one API: with tokens, or with an API key."""

    url: str
    data_dir: str | None = None
    email: str | None = None
    api_key: str | None = None
    access_token: str = ""
    refresh_token: str = ""
    expires_at: float = 0.0
    """When the access token ends, by the clock of this machine."""

    def is_of(self, place: Place) -> bool:
        """Whether it is the login for this API. An embedded platform may have moved to another port."""
        return self.url == place.url or (self.data_dir is not None and self.data_dir == place.data_dir)

    def with_tokens(self, signed_in: Mapping[str, Any]) -> "Login":
        """The same person with the tokens of an answer."""
        return replace(
            self,
            access_token=str(signed_in["access_token"]),
            refresh_token=str(signed_in["refresh_token"]),
            expires_at=time.time() + float(signed_in["expires_in"]),
        )


class Logins:
    """The file with all logins."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        home = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME") or "~").expanduser() / ".config")
        self.path = Path(home) / "simorgh" / "login.json"

    def current(self) -> Login | None:
        """The newest login."""
        return next(iter(self._read()), None)

    def find(self, place: Place) -> Login | None:
        """The login at an API."""
        return next((login for login in self._read() if login.is_of(place)), None)

    def keep(self, login: Login) -> None:
        """Keep a login in place of an older one at the same API; it becomes the current one."""
        with self.locked():
            self._put(login, first=True)

    def forget(self, place: Place) -> None:
        """Keep no login at this API."""
        with self.locked():
            self._write([login for login in self._read() if not login.is_of(place)])

    def renew(self, connection: Connection, place: Place, stale: str) -> str:
        """Exchange the refresh token for new tokens, unless another process has just done so.

        A refresh token is good for one use, and a second use ends the session: hence the lock.
        """
        with self.locked():
            login = self.find(place)
            if login is None:
                raise UnauthenticatedError("not_signed_in", url=place.url)
            if login.access_token != stale:
                return login.access_token
            newer = login.with_tokens(accounts.refresh(connection, login.refresh_token))
            self._put(newer, first=False)
            return newer.access_token

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone with the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _put(self, login: Login, *, first: bool) -> None:
        place = Place(login.url, login.data_dir)
        before = self._read()
        at = 0 if first else next((n for n, other in enumerate(before) if other.is_of(place)), 0)
        others = [other for other in before if not other.is_of(place)]
        self._write([*others[:at], login, *others[at:]])

    def _read(self) -> list[Login]:
        try:
            return [Login(**login) for login in json.loads(self.path.read_text())["logins"]]  # the newest one first
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidInputError("login_file_damaged", path=str(self.path)) from error

    def _write(self, logins: list[Login]) -> None:
        write_private(self.path, json.dumps({"logins": [asdict(login) for login in logins]}, indent=1))


class KeptLogin:
    """The credentials of a login that is kept in the file."""

    def __init__(self, logins: Logins, place: Place) -> None:
        self._logins, self._place = logins, place

    def token(self, connection: Connection) -> str:
        """The kept token, renewed shortly before its end.

        Raises: UnauthenticatedError where nobody is signed in.
        """
        login = self._logins.find(self._place)
        if login is None:
            raise UnauthenticatedError("not_signed_in", url=self._place.url)
        if login.api_key is not None:
            return login.api_key
        if time.time() > login.expires_at - _EARLY_S:
            return self._logins.renew(connection, self._place, login.access_token)
        return login.access_token

    def renew(self, connection: Connection, stale: str) -> str | None:
        """New tokens; None for an API key."""
        login = self._logins.find(self._place)
        if login is None or login.api_key is not None:
            return None
        return self._logins.renew(connection, self._place, stale)
