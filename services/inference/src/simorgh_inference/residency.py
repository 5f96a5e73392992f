"""Keeps the engines within a budget of memory: the one that was used longest ago goes first, never one in use."""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from simorgh_inference.child import EngineChild
from simorgh_shared import allowance

_OWN_BYTES = 600 << 20  # of a process with torch or OpenVINO, before any weights
_TIMES = {".safetensors": 2, ".gguf": 4, ".bin": 1, ".onnx": 1, ".data": 1}
"""What weights take in memory, by their file: 16 bits as a rule, or 8 in GGUF, that are computed in 32; or as kept."""
_SHARE = 0.75  # of the machine's memory, or of the container's, where no budget is set


def default_budget_bytes() -> int:
    """What engines may hold together where nobody says it."""
    return int(allowance.memory_bytes() * _SHARE)


def needed_bytes(folder: Path) -> int:
    """What an engine for this folder will hold, about."""
    return _OWN_BYTES + sum(
        times * path.stat().st_size for ending, times in _TIMES.items() for path in folder.rglob(f"*{ending}")
    )


def held_bytes(children: Iterable[EngineChild]) -> int:
    """What these processes hold now."""
    return sum(_resident_bytes(child.process.pid) for child in children)


def to_unload(children: Mapping[str, EngineChild], budget_bytes: int, kept: Collection[str] = ()) -> list[str] | None:
    """The models that have to go so that the others fit; None where those in use are too many by themselves.

    `kept` are in use too, though their engines may hold no request now.
    """
    gone: list[str] = []
    idle = sorted(
        (child.used_at, model) for model, child in children.items() if child.num_active == 0 and model not in kept
    )
    while held_bytes(child for model, child in children.items() if model not in gone) > budget_bytes:
        if len(gone) == len(idle):
            return None
        gone.append(idle[len(gone)][1])
    return gone


class Room:
    """The budget, and what of it is promised to models that are being loaded."""

    def __init__(self, budget_bytes: int | None) -> None:
        self._budget_bytes = budget_bytes or default_budget_bytes()
        self._promised: dict[str, int] = {}

    def promise(self, model: str, needed_bytes: int) -> None:
        """Count what a model will hold, until it holds it or is given up."""
        self._promised[model] = needed_bytes

    def release(self, model: str) -> None:
        """The model's process counts by itself from now on."""
        self._promised.pop(model, None)

    def leaving(
        self,
        needed_bytes: int,
        others: Mapping[str, EngineChild],
        used: Collection[str],
        retired: Iterable[EngineChild],
    ) -> list[str] | None:
        """Who has to go so that so much fits; None where those that are used leave no room.

        Several models of `others` may share an engine: one of their names stands for it.
        """
        engines = {child: name for name, child in others.items()}
        in_use = {engines[child] for name, child in others.items() if name in used}
        taken = needed_bytes + sum(self._promised.values()) + held_bytes(retired)
        by_name = {name: child for child, name in engines.items()}
        gone = to_unload(by_name, self._budget_bytes - taken, in_use)
        return list(by_name) if gone is None and not in_use else gone


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # it has just ended
        return 0
