"""Sorts the lines that a child wrote into what is stored: events, metric points, progress, checkpoints, an ending."""

import math
from dataclasses import dataclass, field
from typing import Any

from simorgh_shared.queue.applying import MetricPoint
from simorgh_shared.queue.leases import Event

_ENDINGS = ("result", "left", "failed")
_PROGRESS = (
    *("total_steps", "step", "from_step", "num_parameters", "device", "precision", "threads"),
    *("phase", "bytes", "total_bytes"),
)
_NOT_STORED = ("alive", "checkpoint", "progress", *_ENDINGS)
"""Words to the runner: a checkpoint becomes an event when it is safe in storage, an ending when the job has ended."""


@dataclass
class Batch:
    """Lines in the form in which they are applied."""

    num_lines: int = 0
    events: list[Event] = field(default_factory=list)
    metrics: list[MetricPoint] = field(default_factory=list)
    progress: dict[str, Any] = field(default_factory=dict)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    ending: dict[str, Any] | None = None


def sort_lines(lines: list[dict[str, Any]]) -> Batch:
    """Sort lines in their order. Numbers that JSON and PostgreSQL's charts cannot hold (NaN) are left out."""
    batch = Batch(num_lines=len(lines))
    for line in lines:
        kind = line["type"]
        if kind == "checkpoint":
            batch.checkpoints.append(line)
        elif kind in _ENDINGS:
            batch.ending = line
        if kind == "metrics":
            values = {name: value for name, value in line["values"].items() if _is_number(value)}
            batch.metrics += [MetricPoint(name, int(line["step"]), float(value)) for name, value in values.items()]
            batch.progress |= values | {"step": line["step"]}
            line = line | {"values": values}
        if kind in ("started", "metrics", "progress", "resumed"):
            batch.progress |= {name: line[name] for name in _PROGRESS if name in line}
        if kind not in _NOT_STORED:
            payload = {name: value for name, value in line.items() if name not in ("type", "at")}
            batch.events.append(Event(kind, payload, line.get("at")))
    return batch


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
