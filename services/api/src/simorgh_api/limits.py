"""How often somebody may ask: by kind of request, and for signing in by account and by address (R-AUTH-5)."""

import contextlib
import hashlib
import ipaddress
import math
from collections.abc import Collection, Iterator
from enum import StrEnum

from fastapi import Request

from simorgh_api.buckets import Bucket, Buckets
from simorgh_api.settings import LimitSettings
from simorgh_api.usecases.principals import Principal
from simorgh_shared.domain.errors import LimitedError, UnauthenticatedError

_ANSWERING = frozenset(
    {
        "/api/chat",
        "/api/stt/transcribe",
        "/api/tts/synthesize",
        "/v1/audio/speech",
        "/v1/audio/transcriptions",
        "/v1/audio/translations",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/responses",
    }
)


class Kind(StrEnum):
    """Kinds of requests that are limited each by its own rate."""

    READ = "reading"
    WRITE = "changing"
    CHAT = "chatting"
    """Work of a model. It uses the platform and changes nothing but one's own conversation."""


def kind_of(request: Request) -> Kind:
    """Which kind a request is of."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return Kind.READ
    return Kind.CHAT if request.scope["path"] in _ANSWERING else Kind.WRITE


class Limits:
    """Refuses what comes too often."""

    def __init__(self, buckets: Buckets, settings: LimitSettings) -> None:
        self._buckets = buckets
        self._settings = settings

    def admit(self, principal: Principal, kind: Kind) -> None:
        """Let a request pass, or not. A key has its own buckets, the sessions of a user share theirs.

        Raises: LimitedError.
        """
        rates = self._settings
        burst, per_s = {
            Kind.READ: (rates.reads_burst, rates.reads_per_s),
            Kind.WRITE: (rates.writes_burst, rates.writes_per_s),
            Kind.CHAT: (rates.chats_burst, rates.chats_per_s),
        }[kind]
        holder = principal.key_id or principal.user_id
        wait_s = self._buckets.take(Bucket(f"{kind}:{holder}", burst, per_s))
        if wait_s > 0:
            raise LimitedError("rate_limited", retry_after_s=math.ceil(wait_s), kind=kind, per_s=per_s)

    def admit_registration(self, address: str) -> None:
        """Let an account be made, or not: each costs a hash.

        Raises: LimitedError.
        """
        rates = self._settings
        network = network_of(address)
        self._take(Bucket(f"register:{network}", rates.registrations_burst, rates.registrations_per_s))

    @contextlib.contextmanager
    def guess(self, account: str, address: str, known_addresses: Collection[str]) -> Iterator[None]:
        """Around the check of a secret of an account: only a wrong one counts.

        Wrong ones are counted by account and address together, by address, and by account. The last is what stops
        many addresses from guessing at one account; an address from which the account was signed in to before does
        not meet it, so that nobody can shut a user out.

        Raises: LimitedError before the check.
        """
        rates = self._settings
        name, network = hashlib.sha256(account.encode(errors="replace")).hexdigest()[:32], network_of(address)
        buckets = [
            Bucket(f"guess:{name}:{network}", rates.guesses_burst, rates.guesses_per_s),
            Bucket(f"guess:{network}", rates.address_guesses_burst, rates.address_guesses_per_s),
        ]
        if network not in {network_of(known) for known in known_addresses}:
            buckets.append(Bucket(f"guess:{name}", rates.account_guesses_burst, rates.account_guesses_per_s))
        self._take(*buckets)
        is_wrong = False
        try:
            yield
        except UnauthenticatedError:
            is_wrong = True
            raise
        finally:
            if not is_wrong:
                self._buckets.give_back(*buckets)

    def _take(self, *buckets: Bucket) -> None:
        wait_s = self._buckets.take(*buckets)
        if wait_s > 0:
            raise LimitedError("sign_in_limited", retry_after_s=math.ceil(wait_s))


def network_of(address: str) -> str:
    """Who stands behind an address: of IPv6 a household has 2⁶⁴, so its first half counts."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)


def address_of(request: Request) -> str:
    """Where a request comes from. Behind a proxy uvicorn takes it from X-Forwarded-For (FORWARDED_ALLOW_IPS)."""
    return request.client.host if request.client else ""
