"""Owns the form of what a check found."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    """Works, but slower or with less; or could not be looked at."""
    WRONG = "wrong"
    """Something that is needed does not work."""


@dataclass(frozen=True)
class Finding:
    """What a check found, and what to do about it."""

    name: str
    level: Level
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Finding:
    """All is well."""
    return Finding(name, Level.OK, found)


def remark(name: str, found: str, advice: str = "") -> Finding:
    """It works, but someone may want to know."""
    return Finding(name, Level.NOTE, found, advice)


def wrong(name: str, found: str, advice: str) -> Finding:
    """Something that is needed does not work."""
    return Finding(name, Level.WRONG, found, advice)
