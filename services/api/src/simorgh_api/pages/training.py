"""One page with what a training run has brought: losses beside a yardstick, and answers before and after."""

from collections.abc import Sequence

from simorgh_shared.pages.frame import framed
from simorgh_shared.pages.html import Markup, joined, number, percent, said, tag
from simorgh_shared.schemas.reports import TrainingReport

_WIDTH, _HEIGHT, _LEFT, _TOP, _BASE = 600, 220, 46, 12, 190


def page(report: TrainingReport, curve: Sequence[tuple[int, float]]) -> str:
    """The whole page as HTML.

    curve: held-out nats a character by step.
    """
    parts = [_header(report), _cards(report), _curve(report, curve), _answers(report)]
    return framed(report.name, tag("main", *parts))


def _header(report: TrainingReport) -> Markup:
    steps = f", {number(report.steps)} steps" if report.steps is not None else ""
    return tag(
        "header",
        tag("h1", tag("bdi", report.name, dir="auto")),
        tag("p", f"{report.method} of ", tag("bdi", report.model), f" · {report.status}{steps}", class_="quiet"),
        tag("p", "Run ", tag("code", report.job_id), class_="quiet"),
    )


def _cards(report: TrainingReport) -> Markup:
    figures = [
        (report.first_loss_per_char, "held-out loss at first, nats a character", "plain"),
        (report.last_loss_per_char, "held-out loss at last", _is_below(report)),
        (report.trigram_loss_per_char, "of a character trigram of the same rows", "plain"),
    ]
    cards = [_card(f"{value:.3f}", what, kind) for value, what, kind in figures if value is not None]
    if report.lowered_by is not None:
        verb = "lower" if report.lowered_by >= 0 else "higher"
        kind = "good" if report.lowered_by > 0 else "bad"
        cards.insert(2, _card(percent(abs(report.lowered_by)), f"{verb} than at first", kind))
    if report.num_trained_parameters and report.num_parameters:
        share = report.num_trained_parameters / report.num_parameters
        millions = f"{report.num_parameters / 1e6:,.1f} M"
        cards.append(_card(millions, f"parameters, {percent(share)} of them trained"))
    if report.training_seconds is not None:
        cards.append(
            _card(f"{number(round(report.training_seconds))} s", f"{number(report.trained_tokens or 0)} tokens")
        )
    return tag("div", joined(cards), class_="cards")


def _is_below(report: TrainingReport) -> str:
    """Whether the model has bettered the yardstick, as a card's colour."""
    if report.last_loss_per_char is None or report.trigram_loss_per_char is None:
        return "plain"
    return "good" if report.last_loss_per_char < report.trigram_loss_per_char else "look"


def _card(figure: str, what: str, kind: str = "plain") -> Markup:
    return tag("div", tag("b", figure), tag("span", what), class_=kind)


def _curve(report: TrainingReport, points: Sequence[tuple[int, float]]) -> Markup:
    if not points:
        lead = "No rows are held out, or the first evaluation is still to come."
        return tag("section", tag("h2", "Held-out loss"), tag("p", lead, class_="lead"))
    losses = [loss for _, loss in points]
    yardstick = report.trigram_loss_per_char
    low, high = min([*losses, yardstick or losses[0]]), max([*losses, yardstick or losses[0]])
    span, last_step = (high - low) or 1.0, max(1, points[-1][0])

    def x_of(step: int) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - 8) * step / last_step, 1)

    def y_of(loss: float) -> float:
        return round(_BASE - (_BASE - _TOP) * (loss - low) / span, 1)

    path = " ".join(f"{x_of(step)},{y_of(loss)}" for step, loss in points)
    dots = [
        tag("circle", tag("title", f"step {step}: {loss:.3f}"), class_="dot", cx=x_of(step), cy=y_of(loss), r=3)
        for step, loss in points
    ]
    shapes = [
        tag("line", class_="axis", x1=_LEFT, x2=_WIDTH, y1=_BASE, y2=_BASE),
        tag("polyline", class_="curve", points=path),
        *dots,
        _text(f"{high:.2f}", _LEFT - 6, y_of(high) + 4, "end"),
        _text(f"{low:.2f}", _LEFT - 6, y_of(low) + 4, "end"),
        _text("step 0", _LEFT, _BASE + 18, "start"),
        _text(f"step {number(last_step)}", _WIDTH - 8, _BASE + 18, "end"),
    ]
    if yardstick is not None:
        at = y_of(yardstick)
        shapes += [
            tag("line", class_="mark", x1=_LEFT, x2=_WIDTH, y1=at, y2=at),
            tag("text", "character trigram", class_="mark-label", x=_WIDTH - 8, y=at - 5, text_anchor="end"),
        ]
    label = f"Held-out loss from {losses[0]:.3f} to {losses[-1]:.3f} nats a character"
    drawn = tag("svg", joined(shapes), viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=label)
    lead = "Nats a character of what is learnt, on rows that were held out. Lower is better."
    return tag("section", tag("h2", "Held-out loss"), tag("p", lead, class_="lead"), drawn)


def _text(text: str, at: float, y: float, anchor: str) -> Markup:
    return tag("text", text, class_="tick", x=at, y=y, text_anchor=anchor)


def _answers(report: TrainingReport) -> Markup:
    if not report.answers:
        return Markup("")
    parts = []
    for told in report.answers:
        rows = [("before", told.before), ("after", told.after), ("in the dataset", told.expected)]
        cells = joined(tag("tr", tag("th", name), tag("td", said(text))) for name, text in rows if text is not None)
        parts.append(tag("h3", tag("bdi", told.prompt, dir="auto")))
        parts.append(tag("div", tag("table", tag("tbody", cells)), class_="scroll"))
    lead = "Held-out prompts, answered greedily: what the model said before the first step and after the last one."
    return tag("section", tag("h2", "Answers before and after"), tag("p", lead, class_="lead"), *parts)
