"""Entry of the importing child: `python -m simorgh_trainer.importing WORK_DIR`."""

import sys
from pathlib import Path

from simorgh_trainer.child.entry import EXIT_FAILED, EXIT_USAGE, work_folder
from simorgh_trainer.child.events import EventLog
from simorgh_trainer.importing.failures import explain
from simorgh_trainer.importing.run import run_import


def main() -> int:
    """Run one attempt; the exit code."""
    folder = work_folder("simorgh_trainer.importing")
    if folder is None:
        return EXIT_USAGE
    with EventLog(folder / "events.jsonl") as events:
        return _run(folder, events)


def _run(folder: Path, events: EventLog) -> int:
    try:
        run_import(folder, events)
    except Exception as error:
        failure = explain(error, folder)
        if failure is None:
            raise
        # The data (`valid_lines` and the like) stand beside the parameters: the API shows both.
        params = {**failure.data, **failure.params}
        events.emit("failed", code=failure.code, params=params, details=failure.details, message=failure.message())
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
