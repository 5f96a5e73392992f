"""What a dataset may come as, told by a file's suffix, and what an uploader says of it."""

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import msgspec

from simorgh_shared.domain.errors import UnsupportedError

TEXT_FORMATS: Mapping[str, str] = {".jsonl": "jsonl", ".json": "json", ".csv": "csv"}
"""Judged while they come."""
JOB_FORMATS: Mapping[str, str] = {
    ".parquet": "parquet",
    ".zip": "zip",
    ".tar": "tar",
    ".tar.gz": "tar",
    ".tgz": "tar",
}
"""Checked by a job: they need what the gateway never loads, or have to be there whole."""
FORMATS: Mapping[str, str] = {**TEXT_FORMATS, **JOB_FORMATS}


class ImportOptions(msgspec.Struct, frozen=True):
    """What becomes of files that a job checks."""

    name: str | None = None
    """What the dataset is to be called; None where it keeps its name."""
    dataset_id: str | None = None
    """The dataset that this becomes a version of."""
    row_schema: str = "auto"
    columns: dict[str, str] = {}
    """The file's name of a field, such as {"question": "prompt"}."""
    on_error: str = "refuse"

    def as_json(self) -> dict[str, Any]:
        """As it stands in the rows of uploads and jobs."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built


def options_of(body: Mapping[str, Any]) -> ImportOptions:
    """What `as_json` made."""
    return msgspec.convert(body, ImportOptions)


def suffix_of(filename: str) -> str:
    """The suffix that tells a file's format, in lower case."""
    suffixes = PurePosixPath(filename).suffixes
    both = "".join(suffixes[-2:]).lower()
    return both if both in FORMATS else (suffixes[-1].lower() if suffixes else "")


def format_of(filename: str) -> str:
    """The format of a file of this name.

    Raises: UnsupportedError.
    """
    suffix = suffix_of(filename)
    if suffix not in FORMATS:
        raise UnsupportedError("upload_type", suffix=suffix[:20] or "(none)", known=", ".join(FORMATS))
    return FORMATS[suffix]


def quick_fingerprint(size: int, changed_ns: int, head: bytes, tail: bytes) -> str:
    """By which a client knows its own large file again without reading all of it."""
    return hashlib.sha256(b"%d %d " % (size, changed_ns) + head + tail).hexdigest()
