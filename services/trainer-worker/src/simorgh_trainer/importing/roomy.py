"""Files that need room: Parquet and archives, with rows of text or with clips."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simorgh_shared.datasets import parquet
from simorgh_shared.datasets.check import CheckOptions, CheckReport
from simorgh_shared.datasets.rows import RowSchema
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_trainer.importing.audio import AudioFound, audio_column, take_archive, take_parquet


def take_roomy(
    path: Path,
    file_format: str,
    sha256: str,
    options: CheckOptions,
    work: Path,
    limit_bytes: int,
    advance: Callable[[float], None],
) -> tuple[CheckReport, dict[str, Any]]:
    """What was found, and what is to be told beside it. `work` is a folder for this file alone.

    Raises: InvalidInputError, TooLargeError.
    """
    if file_format == "parquet":
        with parquet.opened(path) as file:
            has_clips = audio_column(file.schema_arrow, options.row_schema) is not None
        if not has_clips:
            return parquet.judge_parquet(path, sha256, options, limit_bytes, advance), {}
        return _told(take_parquet(path, sha256, options, work, limit_bytes, advance))
    if options.row_schema not in (None, RowSchema.AUDIO):
        reason = "an archive holds rows of kind audio; send other rows as .jsonl, .json, .csv or .parquet"
        raise InvalidInputError("invalid_parameter", name="row_schema", value=options.row_schema.value, reason=reason)
    return _told(take_archive(path, file_format, sha256, options, work, limit_bytes, advance))


def _told(found: AudioFound) -> tuple[CheckReport, dict[str, Any]]:
    more = asdict(found)
    del more["report"]
    return found.report, more
