"""A child whose work is files: runs it, and tells what went wrong with the errors by line."""

from collections.abc import Callable
from pathlib import Path

from simorgh_shared.child.entry import EXIT_FAILED, EXIT_USAGE, work_folder
from simorgh_shared.child.events import EventLog
from simorgh_shared.child.failures import explain


def run_child(module: str, work: Callable[[Path, EventLog], None]) -> int:
    """Run one attempt; the exit code."""
    folder = work_folder(module)
    if folder is None:
        return EXIT_USAGE
    with EventLog(folder / "events.jsonl") as events:
        try:
            work(folder, events)
        except Exception as error:
            failure = explain(error, folder)
            if failure is None:
                raise
            # The data (`valid_lines` and the like) stand beside the parameters: the API shows both.
            params = {name: _storable(value) for name, value in {**failure.data, **failure.params}.items()}
            details = [_storable(detail) for detail in failure.details]
            events.emit("failed", code=failure.code, params=params, details=details)
            return EXIT_FAILED
    return 0


def _storable(value: object) -> object:
    """What PostgreSQL's JSON takes: sentences quote what strangers wrote."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
