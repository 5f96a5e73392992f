"""Owns how a run's progress looks: a live bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

_PLAIN_EVERY_S = 5.0


@dataclass
class Figures:
    """The newest values of a run, and the lowest held-out loss so far."""

    step: int = 0
    total_steps: int | None = None
    values: dict[str, float] = field(default_factory=dict)
    lowest_loss_per_char: float | None = None
    losses: list[float] = field(default_factory=list)

    def take(self, data: dict[str, Any]) -> None:
        """Add what a `metrics` event says."""
        self.step = int(data.get("step", self.step))
        self.total_steps = data.get("total_steps") or data.get("totalSteps") or self.total_steps
        values = {name: value for name, value in data.get("values", {}).items() if value is not None}
        self.values |= values
        if "loss" in values:
            self.losses.append(values["loss"])
        per_char = values.get("eval_loss_per_char")
        if per_char is not None and (self.lowest_loss_per_char is None or per_char < self.lowest_loss_per_char):
            self.lowest_loss_per_char = per_char

    def line(self) -> str:
        """Loss, held-out loss, tokens/s and time left, as far as they are known."""
        shown = (
            ("loss", "loss", "{:.3f}"),
            ("held-out", "eval_loss", "{:.3f}"),
            ("tokens/s", "tokens_per_s", "{:,.0f}"),
        )
        parts = [f"{label} {form.format(self.values[key])}" for label, key, form in shown if key in self.values]
        if "eta_s" in self.values:
            parts.append(f"left {_clock(self.values['eta_s'])}")
        return "  ".join(parts)


class Display(Protocol):
    """Shows figures while it is open."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, figures: Figures) -> None:
        """Show the newest figures."""


class PlainDisplay:
    """A line every few seconds, without control characters."""

    def __init__(self, say: Callable[[str], None], every_s: float = _PLAIN_EVERY_S) -> None:
        self._say, self._every_s = say, every_s
        self._said_at = -every_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, figures: Figures) -> None:
        """Say the figures unless a line was said just now."""
        if time.monotonic() - self._said_at >= self._every_s:
            self._said_at = time.monotonic()
            total = f" of {figures.total_steps}" if figures.total_steps else ""
            self._say(f"step {figures.step}{total}  {figures.line()}")


class BarDisplay:
    """A bar that moves."""

    def __init__(self) -> None:
        columns = (
            TextColumn("training"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[line]}"),
        )
        self._progress = Progress(*columns, console=Console())
        self._task = self._progress.add_task("training", total=None, line="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, figures: Figures) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=figures.step, total=figures.total_steps, line=figures.line())


def make_display(say: Callable[[str], None], terminal: bool) -> Display:
    """The display that fits where the output goes."""
    return BarDisplay() if terminal else PlainDisplay(say)


def on_terminal() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
