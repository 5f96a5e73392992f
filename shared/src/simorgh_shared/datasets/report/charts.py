"""Charts as inline SVG: their colours come from the page, their figures stand in the titles of their parts."""

from collections.abc import Sequence

from simorgh_shared.pages.html import Markup, joined, number, percent, tag
from simorgh_shared.schemas.statistics import Spread

_WIDTH, _HEIGHT, _BASE = 600, 150, 118
_LEAST_HEIGHT = 1.5  # a bin with one value is seen


def histogram(spread: Spread, unit: str) -> Markup:
    """How many values lie in each bin, with marks at the median and at the 95th hundredth."""
    bins = spread.histogram
    step, most = _WIDTH / len(bins), max(one.count for one in bins)
    bars = []
    for place, one in enumerate(bins):
        height = max(_LEAST_HEIGHT, (_BASE - 22) * one.count / most) if one.count else 0
        is_rest = place == len(bins) - 1 and one.high > bins[0].high - bins[0].low + one.low
        span = f"{number(one.low)}" if one.low == one.high else f"{number(one.low)} to {number(one.high)}"
        title = tag("title", f"{span} {unit}: {number(one.count)}")
        bars.append(
            tag(
                "rect",
                title,
                class_="bar rest" if is_rest else "bar",
                x=round(place * step + 1, 2),
                y=round(_BASE - height, 2),
                width=round(max(1.0, step - 2), 2),
                height=round(height, 2),
                rx=1.5,
            )
        )
    marks = [_mark(spread, value, name) for name, value in (("median", spread.p50), ("95 %", spread.p95))]
    axis = tag("line", class_="axis", x1=0, x2=_WIDTH, y1=_BASE, y2=_BASE)
    label = f"{unit}, {number(spread.least)} to {number(spread.most)}; median {number(spread.p50)}"
    ticks = [_tick(0, number(bins[0].low), "start"), _tick(_WIDTH, number(spread.most), "end")]
    return tag(
        "svg",
        joined([*bars, axis, *marks, *ticks]),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=label,
        class_="histogram",
    )


def _mark(spread: Spread, value: int, name: str) -> Markup:
    """A line where a value lies among the bins."""
    bins = spread.histogram
    place = next(number for number, one in enumerate(bins) if value <= one.high)
    within = (value - bins[place].low + 0.5) / (bins[place].high - bins[place].low + 1)
    at = round((place + within) * _WIDTH / len(bins), 2)
    is_left = at > _WIDTH - 110
    line = tag("line", class_="mark", x1=at, x2=at, y1=8, y2=_BASE)
    return joined(
        [
            line,
            tag(
                "text",
                f"{name} {number(value)}",
                class_="mark-label",
                x=at - 5 if is_left else at + 5,
                y=16 if name == "median" else 32,
                text_anchor="end" if is_left else "start",
            ),
        ]
    )


def _tick(at: float, text: str, anchor: str) -> Markup:
    return tag("text", text, class_="tick", x=at, y=_BASE + 18, text_anchor=anchor)


def shares(parts: Sequence[tuple[str, str, float]]) -> Markup:
    """One bar of parts: a class for the colour, a name, a share of the whole."""
    at, rects, names = 0.0, [], []
    for colour, name, share in parts:
        title = tag("title", f"{name}: {percent(share)}")
        width = max(1.0, _WIDTH * share)
        rects.append(tag("rect", title, class_=f"part {colour}", x=round(at, 2), y=0, width=round(width, 2), height=26))
        at += _WIDTH * share
        names.append(
            tag("li", tag("i", "", class_=f"key {colour}"), f"{name} ", tag("span", percent(share), class_="quiet"))
        )
    label = ", ".join(f"{name} {percent(share)}" for _, name, share in parts)
    bar = tag(
        "svg",
        joined(rects),
        viewBox=f"0 0 {_WIDTH} 26",
        role="img",
        aria_label=label,
        class_="shares",
        preserveAspectRatio="none",
    )
    return joined([bar, tag("ul", joined(names), class_="keys")])
