"""Access tokens and password hashes: the cryptography of signing in, without the database."""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from simorgh_shared.domain.errors import UnauthenticatedError

_ALGORITHM = "HS256"
_ISSUER = "simorgh"
_AUDIENCE = "simorgh-api"
_HASHES_AT_ONCE = 4  # each takes 19 MiB


@dataclass(frozen=True)
class AccessClaims:
    """What a good access token says."""

    user_id: str
    session_id: str
    expires_at: datetime


class Tokens:
    """Makes and checks access tokens: one key signs, former keys verify."""

    def __init__(self, signing_key: str, former_keys: Sequence[str], lifetime_s: int) -> None:
        self._signing_key = signing_key
        self._keys = {_key_id(key): key for key in (signing_key, *former_keys)}
        self.lifetime_s = lifetime_s

    def make(self, user_id: str, session_id: str, now: datetime) -> str:
        """A signed access token."""
        claims = {
            "sub": user_id,
            "sid": session_id,
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "typ": "access",
            "iat": now,
            "exp": now + timedelta(seconds=self.lifetime_s),
        }
        return jwt.encode(claims, self._signing_key, _ALGORITHM, headers={"kid": _key_id(self._signing_key)})

    def read(self, token: str) -> AccessClaims:
        """What the token says.

        Raises: UnauthenticatedError for one that has expired or that we did not make.
        """
        try:
            key = self._keys[jwt.get_unverified_header(token).get("kid", "")]
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                issuer=_ISSUER,
                options={"require": ["exp", "iat", "sub", "sid", "typ"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise UnauthenticatedError("token_expired") from error
        except (jwt.InvalidTokenError, KeyError) as error:
            raise UnauthenticatedError("token_invalid") from error
        if claims["typ"] != "access":
            raise UnauthenticatedError("token_invalid")
        return AccessClaims(claims["sub"], claims["sid"], datetime.fromtimestamp(claims["exp"], UTC))


class Passwords:
    """argon2id hashes; at most a few at once, since each takes memory."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._slots = threading.BoundedSemaphore(_HASHES_AT_ONCE)
        self._nobody = self._hasher.hash("no account has this password")

    def hash(self, password: str) -> str:
        """The hash to store."""
        with self._slots:
            return self._hasher.hash(password)

    def fits(self, stored: str | None, password: str) -> bool:
        """Whether the password is right. An unknown account (None) takes as long as a known one."""
        with self._slots:
            try:
                return self._hasher.verify(stored or self._nobody, password) and stored is not None
            except (VerifyMismatchError, InvalidHashError):
                return False


def _key_id(key: str) -> str:
    return hashlib.sha256(b"kid:" + key.encode()).hexdigest()[:12]
