"""What goes wrong with files, told as errors that their owner or the operator can act on."""

import errno
from pathlib import Path

from simorgh_shared.domain.errors import AppError, InvalidInputError, UnavailableError


def explain(error: Exception, folder: Path) -> AppError | None:
    """The catalogue's error for this one; None for a fault of ours, which is to be seen whole."""
    if isinstance(error, AppError):
        return error
    if isinstance(error, MemoryError):
        return InvalidInputError("upload_unreadable", reason="its rows take more memory than a worker has for them")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UnavailableError("disk_full", path=str(error.filename or folder))
    return None
