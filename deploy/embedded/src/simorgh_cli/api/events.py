"""Owns reading server-sent events."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ServerEvent:
    """One event of a stream."""

    name: str
    data: dict[str, Any]
    event_id: str = ""


def read_events(lines: Iterable[str]) -> Iterator[ServerEvent]:
    """The whole events of a stream; one that is cut off is no event."""
    event_id, name, data = "", "message", ""
    for line in lines:
        field, _, value = line.partition(":")
        match field:
            case "id":
                event_id = value.strip()
            case "event":
                name = value.strip()
            case "data":
                data += value.removeprefix(" ")
            case "" if not line and data:
                if data != "[DONE]":
                    payload = json.loads(data)
                    yield ServerEvent(name, payload if isinstance(payload, dict) else {}, event_id)
                name, data = "message", ""
