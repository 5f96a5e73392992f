"""Owns files that commands write: whole in their place, or not there."""

from collections.abc import Iterator
from pathlib import Path

from simorgh_cli.commands.outputs import check_place
from simorgh_shared.domain.errors import InvalidInputError


def save(chunks: Iterator[bytes], path: Path) -> int:
    """Write beside the file and put it in place when it is whole; how many bytes it has.

    Raises: InvalidInputError where it cannot be written.
    """
    check_place(str(path))
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as file:
            num_bytes = sum(file.write(chunk) for chunk in chunks)
        partial.replace(path)
    except OSError as error:
        raise InvalidInputError("file_unusable", path=str(path), reason=reason(error)) from error
    finally:
        partial.unlink(missing_ok=True)
    return num_bytes


def reason(error: OSError) -> str:
    """Why a file cannot be used, in the middle of a sentence."""
    return (error.strerror or str(error)).lower()
