"""Looks through the dataset version of a work folder, and says what was found."""

import json
import time
from pathlib import Path
from typing import Any

from simorgh_shared.child.control import ControlFile
from simorgh_shared.child.events import EventLog
from simorgh_shared.datasets.rows import RowSchema
from simorgh_shared.datasets.statistics.reading import Source
from simorgh_shared.datasets.statistics.survey import Facts, survey
from simorgh_shared.schemas.statistics import SplitFacts, SplitName
from simorgh_trainer.statistics.tokens import count_tokens

_TOLD_EVERY_S = 1.0


class _LeftError(Exception):
    """Something else is wanted than to go on; `reason` says what."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def run_statistics(folder: Path, events: EventLog) -> None:
    """Say in the last event what `run.json`'s version holds. A run that is left begins anew.

    Raises: InvalidInputError for a row that does not fit.
    """
    inputs = json.loads((folder / "run.json").read_bytes())["inputs"]
    spill, output = folder / "spill", folder / "output"
    spill.mkdir()
    output.mkdir()
    steps = _Steps(events, ControlFile(folder / "control.json"))
    try:
        found = survey(_source(inputs["dataset"], folder), _facts(inputs["facts"]), spill, count_tokens, steps)
    except _LeftError as left:
        events.emit("left", reason=left.reason)
        return
    events.emit("result", path="output", statistics=found.model_dump(mode="json"))


class _Steps:
    """Called again and again: tells how much is done, and leaves where that is wanted."""

    def __init__(self, events: EventLog, control: ControlFile) -> None:
        self._events = events
        self._control = control
        self._told_at = 0.0

    def __call__(self, done: float) -> None:
        wanted = self._control.read()
        reason = "cancel" if wanted.is_cancelled else wanted.leave_reason
        if reason is not None:
            raise _LeftError(reason)
        if time.monotonic() - self._told_at >= _TOLD_EVERY_S:
            self._told_at = time.monotonic()
            self._events.emit("progress", step=round(100 * done), total_steps=100)


def _source(dataset: dict[str, Any], folder: Path) -> Source:
    splits: tuple[SplitName, ...] = ("train", "test")
    files = [(split, folder / path) for split in splits for path in dataset[split]]
    return Source(RowSchema(dataset["row_schema"]), dataset["columns"], files)


def _facts(facts: dict[str, Any]) -> Facts:
    splits = [SplitFacts.model_validate(split) for split in facts["splits"]]
    return Facts(rows=facts["rows"], bytes=facts["bytes"], sha256=facts["sha256"], splits=splits)
