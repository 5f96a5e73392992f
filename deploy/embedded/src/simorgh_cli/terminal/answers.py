"""Owns how a run's answers before and after, and its report, read in a terminal."""

from collections.abc import Iterator
from typing import Any

from simorgh_cli.terminal.text import printable

_FIGURES = (
    ("first_loss_per_char", "held-out loss at first", "{:.3f} nats a character"),
    ("last_loss_per_char", "held-out loss at last", "{:.3f}"),
    ("lowered_by", "lower by", "{:.0%}"),
    ("lowest_loss_per_char", "lowest held-out loss", "{:.3f}"),
    ("trigram_loss_per_char", "of a character trigram", "{:.3f}"),
    ("steps", "steps", "{:,}"),
    ("trained_tokens", "tokens", "{:,}"),
    ("training_seconds", "seconds", "{:,.0f}"),
    ("num_parameters", "parameters", "{:,}"),
    ("num_trained_parameters", "of these trained", "{:,}"),
)


def answer_lines(event: dict[str, Any]) -> str:
    """An `answers` event: each prompt and what the model answers to it."""
    lines = [f"answers {event.get('when')} training:"]
    lines += [f"  {_line(told['prompt'])}  ->  {_line(told['answer'])}" for told in event.get("answers", [])]
    return "\n".join(lines)


def report_lines(report: dict[str, Any]) -> Iterator[str]:
    """A run's report."""
    yield f"Run {report['job_id']} ({printable(report['name'])}, {report['method']}) {report['status']}"
    for name, words, form in _FIGURES:
        if report.get(name) is not None:
            yield f"  {words:<23} {form.format(report[name])}"
    for told in report["answers"]:
        yield f"\n  {_line(told['prompt'])}"
        for words in ("before", "after", "expected"):
            if told[words] is not None:
                yield f"    {words:<9} {_line(told[words])}"


def _line(text: str) -> str:
    """On one line, and short enough to be read."""
    joined = printable(" ".join(text.split()))
    return joined if len(joined) <= 160 else joined[:159] + "\N{HORIZONTAL ELLIPSIS}"
