"""One page with what an optimisation has brought: bars before and after, the gate, and how it was checked."""

import json

from simorgh_shared.pages.frame import framed
from simorgh_shared.pages.html import Markup, counted, joined, number, percent, size, table, tag
from simorgh_shared.schemas.optimization import MeasuredView, OptimizationReport, OptimizationView

_WIDTH, _BAR, _LEFT, _RIGHT = 600, 22, 70, 110
_FIGURES = (
    ("bytes", "Bytes of the weights", "Less is better."),
    ("perplexity", "Perplexity on the held-out rows", "Less is better."),
    ("tokens_per_s", "Tokens a second", "More is better; one request at a time."),
    ("first_token_ms", "First token, ms", "Less is better."),
    ("peak_memory_bytes", "Peak memory of the process", "Less is better; libraries included."),
)


def page(found: OptimizationView, report: OptimizationReport) -> str:
    """The whole page as HTML."""
    parts = [_header(found, report), _verdict(report), _cards(report), _bars(report), _details(report)]
    return framed(found.job.name or "Optimisation", tag("main", *parts))


def _header(found: OptimizationView, report: OptimizationReport) -> Markup:
    told = (
        f"{counted(report.held_out.rows, 'row')}, {counted(report.held_out.tokens, 'token')}: {report.held_out.source}"
    )
    return tag(
        "header",
        tag("h1", tag("bdi", found.model_name or found.job.name, dir="auto")),
        tag("p", f"{report.method}, {_which(found)} · measured on {told}", class_="quiet"),
        tag("p", "Optimisation ", tag("code", found.job.id), f" · {counted(report.threads, 'thread')}", class_="quiet"),
    )


def _which(found: OptimizationView) -> str:
    return f"version {found.version}" if found.check_of is None else f"{found.check_of} measured again"


def _verdict(report: OptimizationReport) -> Markup:
    if report.gate.passed:
        has_gate = report.gate.max_perplexity_increase is not None or report.gate.min_speedup is not None
        said = "It passed its gate." if has_gate else "No gate was set: nothing keeps it from being promoted."
        return tag("section", tag("p", said), class_="verdict good" if has_gate else "verdict")
    reasons = tag("ul", joined(tag("li", one) for one in report.gate.missed))
    return tag("section", tag("p", "It missed its gate and is not promotable."), reasons, class_="verdict bad")


def _cards(report: OptimizationReport) -> Markup:
    cards = [(f"{report.before.bytes / max(1, report.after.bytes):.2f} ×", "smaller, by the weights' bytes")]
    cards.append((f"{100 * report.gate.perplexity_increase:+.2f} %", "perplexity"))
    if report.gate.speedup is not None:
        cards.append((f"{report.gate.speedup:.2f} ×", "tokens a second"))
    same = report.agreement
    cards.append((percent(same.share), f"of {counted(same.prompts, 'greedy answer')} the same"))
    return tag("div", joined(tag("div", tag("b", what), tag("span", name)) for what, name in cards), class_="cards")


def _bars(report: OptimizationReport) -> Markup:
    parts = []
    for name, title, lead in _FIGURES:
        before, after = _figure(report.before, name), _figure(report.after, name)
        parts.append(tag("h3", title))
        if before is None or after is None:
            parts.append(tag("p", f"Not measured: {_reason(report, name)}", class_="lead"))
        if before is not None or after is not None:
            parts += [_pair(name, before, after), tag("p", lead, class_="quiet")]
    return tag("section", tag("h2", "Before and after"), *parts)


def _pair(name: str, before: float | None, after: float | None) -> Markup:
    """Two bars on one scale."""
    most = max(value for value in (before, after) if value is not None) or 1.0
    shapes = []
    for place, (label, value, kind) in enumerate((("before", before, "bar rest"), ("after", after, "bar"))):
        top = place * (_BAR + 6)
        shapes.append(tag("text", label, class_="tick", x=0, y=top + 15))
        if value is not None:
            width = round(max(1.0, (_WIDTH - _LEFT - _RIGHT) * value / most), 1)
            said = _said(name, value)
            title = tag("title", f"{label}: {said}")
            shapes.append(tag("rect", title, class_=kind, x=_LEFT, y=top, width=width, height=_BAR, rx=3))
            shapes.append(tag("text", said, class_="tick", x=_LEFT + width + 8, y=top + 15))
    label = ", ".join(f"{when} {_said(name, value)}" for when, value in (("before", before), ("after", after)) if value)
    height = 2 * _BAR + 8
    return tag("svg", joined(shapes), viewBox=f"0 0 {_WIDTH} {height}", role="img", aria_label=label)


def _figure(measured: MeasuredView, name: str) -> float | None:
    value: float | None = getattr(measured, name)
    return value


def _reason(report: OptimizationReport, name: str) -> str:
    return report.after.missing.get(name) or report.before.missing.get(name) or "no figure"


def _said(name: str, value: float) -> str:
    return size(int(value)) if name.endswith("bytes") else number(float(value))


def _details(report: OptimizationReport) -> Markup:
    rows = [
        ["loss, nats a token", f"{report.before.loss:.4f}", f"{report.after.loss:.4f}"],
        ["run by", report.before.runtime, report.after.runtime],
    ]
    check = tag("p", "How it was checked: ", tag("code", json.dumps(report.check, ensure_ascii=False)))
    equal = f"Answers agree in {percent(report.agreement.equal_start)} of their tokens before the first that differs."
    return tag("section", tag("h2", "More"), table(["", "before", "after"], rows), tag("p", equal), check)
