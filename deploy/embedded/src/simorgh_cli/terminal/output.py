"""Owns what goes to standard output (what was asked for) and to standard error (what is said about it)."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from simorgh_cli.terminal.text import printable, table, width


def write(text: str) -> None:
    """Text as it is, at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def say(text: str) -> None:
    """A line for people, at once."""
    write(text + "\n")


def note(text: str) -> None:
    """A line about what happens, beside the output."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def write_json(value: object) -> None:
    """One value on one line."""
    say(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str))


def write_table(header: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
    """Rows in columns, within the terminal where there is one; `empty` says that there are none."""
    if not rows:
        note(empty)
        return
    cells = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    say("\n".join(table(header, rows, cells)))


def write_fields(fields: Mapping[str, Any]) -> None:
    """Names and values, a line each; what is not known is left out."""
    shown = {name: value for name, value in fields.items() if value not in (None, "")}
    widest = max(map(width, shown), default=0)
    for name, value in shown.items():
        say(f"{name:<{widest}}  {printable(str(value))}")


def size(num_bytes: int) -> str:
    """Bytes for people."""
    for unit, of in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if num_bytes >= of:
            return f"{num_bytes / of:.1f} {unit}"
    return f"{num_bytes} B"


def moment(when: str | None) -> str:
    """A time of the API's without its fractions."""
    return (when or "")[:19].replace("T", " ")
