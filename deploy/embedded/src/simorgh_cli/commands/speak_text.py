"""Owns where the text comes from that is to be spoken: the argument itself, the file of that name, standard input."""

import sys
from pathlib import Path

import click

from simorgh_cli.commands.saving import reason
from simorgh_cli.terminal.text import whole
from simorgh_shared.domain.errors import InvalidInputError

_SUFFIXES = frozenset({".txt", ".text", ".md", ".rst", ".csv", ".json", ".jsonl", ".html", ".xml", ".srt", ".vtt"})
_MAX_NAME_CHARS = 1_000  # a name that is longer is none


def text_to_speak(given: str | None) -> str:
    """The text that the argument means; `-` is standard input, and so is nothing where no person sits there.

    Raises: InvalidInputError where there is none, click.UsageError for the name of a file that is not there.
    """
    if given == "-" or (given is None and not sys.stdin.isatty()):
        text, where = whole(sys.stdin.read()), "standard input"
    elif given is not None and _is(given, "file"):
        text, where = _read(Path(given)), given
    else:
        text, where = given or "", ""
        _refuse_name(text)
    if not text.strip():
        raise InvalidInputError("text_source_empty", where=where) if where else InvalidInputError("nothing_to_speak")
    return text


def _read(path: Path) -> str:
    try:
        return whole(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InvalidInputError("file_unusable", path=str(path), reason="it is no text in UTF-8") from error
    except OSError as error:
        raise InvalidInputError("file_unusable", path=str(path), reason=reason(error)) from error


def _refuse_name(text: str) -> None:
    """Nobody wants to hear the name of a file that they meant."""
    if _is(text, "folder"):
        wrong = f"{text} is a folder"
    elif _looks_like_name(text):
        wrong = f"There is no file {text}"
    else:
        return
    raise click.UsageError(
        f"{wrong}. To have these words spoken, write them to standard input: echo … | simorgh speak -"
    )


def _looks_like_name(text: str) -> bool:
    if "\n" in text or len(text) >= _MAX_NAME_CHARS:
        return False
    return Path(text).suffix.lower() in _SUFFIXES or ("/" in text and len(text.split()) == 1)


def _is(name: str, what: str) -> bool:
    if len(name) >= _MAX_NAME_CHARS:
        return False
    try:
        return Path(name).is_file() if what == "file" else name != "" and Path(name).is_dir()
    except (OSError, ValueError):
        return False
