"""Owns the log files of the children: opened for appending, capped at each start, tails for people."""

from pathlib import Path
from typing import BinaryIO

_MAX_BYTES = 10_000_000
_TAIL_BYTES = 16_384


def open_log(path: Path) -> BinaryIO:
    """The log opened for appending; one that has grown past 10 MB becomes `<name>.1` first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists() and path.stat().st_size > _MAX_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return path.open("ab")


def tail(path: Path, num_lines: int = 15, since: int = 0) -> str:
    """The last lines of a log from byte `since` on, without control characters; empty where there is no log."""
    if not path.exists():
        return ""
    with path.open("rb") as log:
        size = log.seek(0, 2)
        log.seek(max(since, size - _TAIL_BYTES))
        text = log.read().decode("utf-8", "replace")
    lines = ["".join(char for char in line if char >= " " or char == "\t") for line in text.splitlines()]
    return "\n".join(lines[-num_lines:])
