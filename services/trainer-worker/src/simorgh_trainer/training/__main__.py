"""Entry of the training child: `python -m simorgh_trainer.training WORK_DIR`.

It dies with its parent, and sets how OpenMP's threads wait before torch is first imported.
"""

import os
import sys
from pathlib import Path

from simorgh_shared.child.entry import EXIT_FAILED, EXIT_USAGE, work_folder
from simorgh_shared.child.events import EventLog


def main() -> int:
    """Run one attempt; the exit code."""
    folder = work_folder("simorgh_trainer.training")
    if folder is None:
        return EXIT_USAGE
    # Threads that spin while they wait take the cores from those that compute: bf16 training falls 20 to 80 times.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # repeatable products on a GPU
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with EventLog(folder / "events.jsonl") as events:
        return _run(folder, events)


def _run(folder: Path, events: EventLog) -> int:
    # Imported here because torch reads the environment when it is loaded.
    from simorgh_trainer.training.failures import explain
    from simorgh_trainer.training.loop import CancelledError
    from simorgh_trainer.training.run import run_attempt

    try:
        run_attempt(folder, events)
    except CancelledError:
        events.emit("left", reason="cancel")
    except Exception as error:
        failure = explain(error, folder)
        if failure is None:
            raise
        events.emit("failed", code=failure.code, params=failure.params, message=failure.message())
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
