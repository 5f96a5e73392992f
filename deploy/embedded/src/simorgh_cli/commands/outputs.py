"""Owns what the name of an output file says: its format, and that it can be put where it is to go."""

import os
from collections.abc import Mapping
from pathlib import Path

import click

from simorgh_shared.domain.errors import InvalidInputError


def form_of(output: str | None, given: str | None, suffixes: Mapping[str, str], default: str) -> str:
    """The format: the one that was given, that of the name's suffix, or the default where there is neither.

    Raises: click.UsageError where suffix and format differ, or the suffix says nothing that is known.
    """
    suffix = suffix_of(output)
    known = suffixes.get(suffix)
    if suffix and known is None and given is None:
        raise click.UsageError(f"-o takes a file whose name ends with {', '.join(suffixes)}; or name its --format.")
    if given is not None and known is not None and known != given:
        raise click.UsageError(f"{output} ends as {known} does, and --format says {given}: name the file otherwise.")
    return given or known or default


def suffix_of(output: str | None) -> str:
    """The suffix in small letters; empty where there is no name, or none in it."""
    return Path(output).suffix.lower() if output not in (None, "-") else ""


def check_place(output: str | None) -> None:
    """See before any work is done that a file can be written there.

    Raises: InvalidInputError where it cannot.
    """
    if output is None or output == "-":
        return
    path = Path(output)
    if not path.parent.is_dir():
        raise InvalidInputError("output_folder_missing", folder=str(path.parent))
    if path.is_dir():
        raise InvalidInputError("file_unusable", path=output, reason="it is a folder")
    if not os.access(path.parent, os.W_OK):
        raise InvalidInputError("file_unusable", path=output, reason="its folder takes no file of yours")
