"""Owns how far a voice job is: a bar where standard error is a terminal, now and then a line elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from simorgh_cli.terminal.output import note

_SAID_EVERY_S = 10.0


@contextmanager
def following(what: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Until the end of the block; what it gives is told of the job as it is now."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"), TimeRemainingColumn())
    said_at, said = time.monotonic(), ""
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None, told="")

        def show(job: dict[str, Any]) -> None:
            nonlocal said_at, said
            done, total = job["progress"].get("audio_s"), job["progress"].get("total_s")
            told = f"{clock(done)} of {clock(total)} of audio" if done is not None and total else str(job["status"])
            progress.update(task, completed=done or 0, total=total, told=told)
            if not console.is_terminal and told != said and time.monotonic() - said_at >= _SAID_EVERY_S:
                said_at, said = time.monotonic(), told
                note(f"{what}: {told}")

        yield show


def clock(seconds: float) -> str:
    """A length of time for people."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
