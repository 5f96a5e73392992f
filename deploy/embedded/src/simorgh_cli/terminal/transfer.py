"""Owns the bar of bytes on their way, where standard error is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def moving(what: str, num_bytes: int | None) -> Iterator[Callable[[int], None]]:
    """A bar until the end of the block; what it gives is told of so many more bytes."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=num_bytes)
        yield lambda count: progress.advance(task, count)
