"""Owns how a run's progress looks: a live bar and curve on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from simorgh_cli.terminal.curve import HELD_OUT_MARK, LOSS_MARK, Trace, draw

_PLAIN_EVERY_S = 5.0
_CURVE_ROWS = 8
_MAX_COLUMNS = 120  # wider than that a curve is no clearer


@dataclass
class Figures:
    """The newest values of a run, its curves, and the lowest held-out loss so far."""

    step: int = 0
    total_steps: int | None = None
    values: dict[str, float] = field(default_factory=dict)
    lowest_loss_per_char: float | None = None
    loss: Trace = field(default_factory=Trace)
    held_out: Trace = field(default_factory=Trace)

    def take(self, data: dict[str, Any]) -> None:
        """Add what a `metrics` event says."""
        self.step = int(data.get("step", self.step))
        self.total_steps = data.get("total_steps") or data.get("totalSteps") or self.total_steps
        values = {name: value for name, value in data.get("values", {}).items() if value is not None}
        self.values |= values
        for name, trace in (("loss", self.loss), ("eval_loss", self.held_out)):
            if name in values:
                trace.add(self.step, values[name])
        per_char = values.get("eval_loss_per_char")
        if per_char is not None and (self.lowest_loss_per_char is None or per_char < self.lowest_loss_per_char):
            self.lowest_loss_per_char = per_char

    def line(self) -> str:
        """Loss, held-out loss, tokens/s and time left, as far as they are known."""
        shown = (
            ("loss", "loss", "{:.3f}/token"),
            ("held-out", "eval_loss", "{:.3f}/token"),
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

    def tell(self, text: str) -> None:
        """Say something that stays."""


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

    def tell(self, text: str) -> None:
        """Say a line."""
        self._say(text)


class BarDisplay:
    """A bar that moves, and below it the curve so far."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn())
        self._progress = Progress(*columns, expand=True)
        self._task = self._progress.add_task("training", total=None)
        self._curve = _CurveView()
        self._live = Live(Group(self._progress, self._curve), console=Console(), refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, figures: Figures) -> None:
        """Move the bar and draw the curve."""
        self._curve.figures = figures
        self._progress.update(self._task, completed=figures.step, total=figures.total_steps)

    def tell(self, text: str) -> None:
        """Say a line above the bar."""
        self._live.console.print(Text(text))


class _CurveView:
    """The figures' line and the curve, drawn for the width that there is."""

    def __init__(self) -> None:
        self.figures = Figures()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.figures.line())
        columns = min(options.max_width, _MAX_COLUMNS)
        loss, held_out = self.figures.loss.points, self.figures.held_out.points
        lines = draw(loss, held_out, columns, _CURVE_ROWS)
        if lines:
            yield Text("\n".join(lines))
            yield Text(f"{LOSS_MARK} loss  {HELD_OUT_MARK} held-out loss", style="dim")


def make_display(say: Callable[[str], None], terminal: bool) -> Display:
    """The display that fits where the output goes."""
    return BarDisplay() if terminal else PlainDisplay(say)


def on_terminal() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
