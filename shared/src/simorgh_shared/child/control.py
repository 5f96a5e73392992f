"""What the child is asked: reads `control.json`, which the runner replaces atomically."""

import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Control:
    """What is wanted of the run."""

    desired_state: str = "run"
    drain: bool = False
    checkpoint_request: int = 0

    @property
    def leave_reason(self) -> str | None:
        """Why to save and leave, or None to go on."""
        if self.desired_state in ("pause", "stop"):
            return self.desired_state
        return "drain" if self.drain else None

    @property
    def is_cancelled(self) -> bool:
        """Whether to leave at once and save nothing."""
        return self.desired_state == "cancel"


class ControlFile:
    """Reads the file when it was replaced: one `stat` a step else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._control = Control()

    def read(self) -> Control:
        """What the file says now; the default as long as there is none."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return self._control
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            body = json.loads(self._path.read_bytes())
            self._control = Control(
                desired_state=body.get("desired_state", "run"),
                drain=bool(body.get("drain", False)),
                checkpoint_request=int(body.get("checkpoint_request", 0)),
            )
            self._seen = seen
        return self._control
