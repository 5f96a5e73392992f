"""Owns drawing loss curves with characters: dots of braille for the loss, discs for the held-out loss."""

from collections.abc import Sequence
from itertools import pairwise

Point = tuple[int, float]
"""A step and a value."""
LOSS_MARK, HELD_OUT_MARK = "⠶", "●"
_BRAILLE = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot, by row and column within a character of two by four dots."""
_LABEL_CELLS = 8


class Trace:
    """The points of one curve, in bounded memory: where there are too many, neighbours are averaged."""

    def __init__(self, max_points: int = 2048) -> None:
        self.points: list[Point] = []
        self._max_points = max_points

    def add(self, step: int, value: float) -> None:
        """Add the next point. A run that went back to a checkpoint overwrites what lies beyond it."""
        while self.points and self.points[-1][0] >= step:
            self.points.pop()
        self.points.append((step, value))
        if len(self.points) > self._max_points:
            pairs = zip(self.points[::2], self.points[1::2], strict=False)
            self.points = [(second[0], (first[1] + second[1]) / 2) for first, second in pairs]


def draw(loss: Sequence[Point], held_out: Sequence[Point], columns: int, rows: int) -> list[str]:
    """Lines of at most so many columns, with the scale at the left and the steps below; none without points."""
    points = [*loss, *held_out]
    plot_columns = columns - _LABEL_CELLS - 1
    if len(points) < 2 or plot_columns < 8:
        return []
    frame = _Frame(points, plot_columns, rows)
    cells = [[0] * plot_columns for _ in range(rows)]
    for x, y in _joined([frame.dot(point) for point in loss]):
        cells[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
    drawn = [[chr(_BRAILLE | bits) if bits else " " for bits in line] for line in cells]
    for point in held_out:
        x, y = frame.dot(point)
        drawn[y // 4][x // 2] = HELD_OUT_MARK
    labels = {0: frame.highest, rows - 1: frame.lowest}
    lines = [
        f"{f'{labels[row]:.3g}' if row in labels else '':>{_LABEL_CELLS}}┤{''.join(line)}".rstrip()
        for row, line in enumerate(drawn)
    ]
    first, last = f"{frame.first_step:,}", f"step {frame.last_step:,}"
    gap = max(1, plot_columns - len(first) - len(last))
    return [*lines, f"{'':>{_LABEL_CELLS}} {first}{'':>{gap}}{last}"]


class _Frame:
    """Where a point lies within the dots."""

    def __init__(self, points: Sequence[Point], columns: int, rows: int) -> None:
        steps, values = [step for step, _ in points], [value for _, value in points]
        self.first_step, self.last_step = min(steps), max(steps)
        self.lowest, self.highest = min(values), max(values)
        self._wide, self._high = 2 * columns - 1, 4 * rows - 1

    def dot(self, point: Point) -> tuple[int, int]:
        """Column and row of the dot, counted from the upper left."""
        along = (point[0] - self.first_step) / max(1, self.last_step - self.first_step)
        above = (point[1] - self.lowest) / ((self.highest - self.lowest) or 1.0)
        return round(along * self._wide), round((1 - above) * self._high)


def _joined(dots: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The dots, and those on the way from each to the next."""
    found = list(dots[:1])
    for (from_x, from_y), (to_x, to_y) in pairwise(dots):
        steps = max(abs(to_x - from_x), abs(to_y - from_y), 1)
        found += [
            (round(from_x + (to_x - from_x) * n / steps), round(from_y + (to_y - from_y) * n / steps))
            for n in range(1, steps + 1)
        ]
    return found
