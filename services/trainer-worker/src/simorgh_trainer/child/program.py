"""A child whose work is files: runs it, and tells what went wrong with the errors by line."""

from collections.abc import Callable
from pathlib import Path

from simorgh_trainer.child.entry import EXIT_FAILED, EXIT_USAGE, work_folder
from simorgh_trainer.child.events import EventLog
from simorgh_trainer.child.failures import explain


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
            params = {**failure.data, **failure.params}
            events.emit("failed", code=failure.code, params=params, details=failure.details, message=failure.message())
            return EXIT_FAILED
    return 0
