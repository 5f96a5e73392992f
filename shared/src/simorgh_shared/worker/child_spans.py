"""What a child did when, by the lines that it writes anyway: so that children know nothing of tracing."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from simorgh_shared import tracing

_MOST_CHECKPOINTS = 100
_ENDINGS = ("result", "left", "failed")


class ChildSpans:
    """Spans below that of the child: its load, its steps in one, each checkpoint, each phase that it names."""

    def __init__(self, parent: str | None) -> None:
        self._parent = parent
        self._begun_s: float | None = None
        self._last_s = 0.0
        self._phase = "load"
        self._step = 0
        self._num_checkpoints = 0

    def begin(self, at_s: float) -> None:
        """The child was started."""
        self._begun_s = at_s

    def note(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """It has said this."""
        if self._parent is None:
            return
        for line in lines:
            at_s = _moment_s(line.get("at"))
            if at_s is None:
                continue
            self._last_s = at_s
            kind = line["type"]
            if kind == "started":
                self._enter("train", at_s)
            elif kind == "progress" and line.get("phase") not in (None, self._phase):
                self._enter(str(line["phase"]), at_s)
            elif kind == "metrics":
                self._step = int(line["step"])
            elif kind == "checkpoint":
                self._checkpoint(line, at_s)
            elif kind in _ENDINGS:
                self._enter("", at_s)

    def end(self) -> None:
        """It has ended, in good order or not: the phase that it was in goes to its last word."""
        if self._parent is not None:
            self._enter("", self._last_s)

    def _enter(self, phase: str, at_s: float) -> None:
        if self._phase and self._begun_s is not None:
            steps = {"simorgh.step": self._step} if self._step else {}
            tracing.record(self._phase, steps, parent=self._parent, begun_s=self._begun_s, ended_s=at_s)
        self._phase, self._begun_s = phase, at_s

    def _checkpoint(self, line: Mapping[str, Any], at_s: float) -> None:
        self._num_checkpoints += 1
        if self._num_checkpoints <= _MOST_CHECKPOINTS:
            begun_s = at_s - float(line.get("seconds", 0.0))
            told = {"simorgh.step": int(line["step"])}
            tracing.record("checkpoint", told, parent=self._parent, begun_s=begun_s, ended_s=at_s)


def _moment_s(at: object) -> float | None:
    try:
        return datetime.fromisoformat(at).timestamp() if isinstance(at, str) else None
    except ValueError:
        return None
