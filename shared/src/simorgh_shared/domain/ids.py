"""Prefixed public ids that sort by the time they were made."""

import secrets
import threading
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32: no i, l, o, u
_LENGTH = 26
_lock = threading.Lock()
_last_value = 0


def new_id(prefix: str) -> str:
    """A fresh id such as `job_01jd3v…`: 48 bits of Unix milliseconds, then 80 random bits.

    Ids of one prefix sort by creation time, to the millisecond between processes and exactly within one, so that
    an index on them is an index on age.
    """
    value = _next_value()
    digits = []
    for _ in range(_LENGTH):
        digits.append(_ALPHABET[value & 31])
        value >>= 5
    return f"{prefix}_{''.join(reversed(digits))}"


def _next_value() -> int:
    global _last_value
    with _lock:
        _last_value = max((time.time_ns() // 1_000_000) << 80 | secrets.randbits(80), _last_value + 1)
        return _last_value


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` has the form of an id with this prefix (not whether such a thing exists)."""
    head, _, tail = text.rpartition("_")
    return head == prefix and len(tail) == _LENGTH and all(char in _ALPHABET for char in tail)
