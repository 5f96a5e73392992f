"""Sorts the lines that an engine says of a request into what is stored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simorgh_shared.queue.leases import Event
from simorgh_voice.engine.protocol import ENDINGS

_PROGRESS = ("audio_s", "total_s", "rows")


@dataclass
class Batch:
    """Lines in the form in which they are applied."""

    num_lines: int = 0
    events: list[Event] = field(default_factory=list)
    progress: dict[str, Any] = field(default_factory=dict)
    saves: bool = False
    """Whether work is among them that a later attempt does not do again."""
    ending: Mapping[str, Any] | None = None


def sort_lines(
    lines: Sequence[Mapping[str, Any]], store_part: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> Batch:
    """Sort lines in their order. `store_part` stores the file of a part, and returns what is told of it."""
    batch = Batch(num_lines=len(lines))
    for line in lines:
        match line["type"]:
            case "progress":
                batch.progress |= {name: line[name] for name in _PROGRESS if name in line}
            case "transcribed" | "heard" as kind:
                batch.events.append(Event(kind, _payload(line)))
                batch.saves = True
            case "part":
                batch.events.append(Event("part", _payload(line) | dict(store_part(line))))
            case kind if kind in ENDINGS:
                batch.ending = line
    return batch


def _payload(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in ("id", "type", "path")}
