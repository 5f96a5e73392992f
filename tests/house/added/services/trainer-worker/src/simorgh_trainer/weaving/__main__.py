"""Entry of the weaving child: `python -m simorgh_trainer.weaving WORK_DIR`."""

import json
import sys

from simorgh_shared.child.control import ControlFile
from simorgh_shared.child.entry import EXIT_FAILED, EXIT_USAGE, work_folder
from simorgh_shared.child.events import EventLog


def main() -> int:
    """Weave as many rows as the spec says; the exit code."""
    folder = work_folder("simorgh_trainer.weaving")
    if folder is None:
        return EXIT_USAGE
    spec = json.loads((folder / "run.json").read_text(encoding="utf-8"))["spec"]
    control = ControlFile(folder / "control.json")
    with EventLog(folder / "events.jsonl") as events:
        if spec["colour"] == "grey":
            events.emit("failed", code="job_failed", params={"reason": "grey cannot be woven"})
            return EXIT_FAILED
        events.emit("started", total_steps=spec["rows"])
        for step in range(1, spec["rows"] + 1):
            if control.read().leave_reason is not None:
                events.emit("left", reason=control.read().leave_reason)
                return 0
            events.metrics(step, spec["rows"], {"tension": 1 / step})
        (folder / "output").mkdir()
        (folder / "output" / "feather.txt").write_text(spec["colour"] * spec["rows"], encoding="utf-8")
        events.emit("result", path="output", step=spec["rows"], metrics={"rows": spec["rows"]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
