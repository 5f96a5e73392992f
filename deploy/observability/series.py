"""Which series a process may show: every label with its few values, and how many. Read by test and trial."""

import re
from collections.abc import Iterable, Mapping

from prometheus_client.parser import text_string_to_metric_families

from simorgh_inference.metrics import OUTCOMES as CHAT_OUTCOMES
from simorgh_shared.domain.jobs import JobType, Lane, Outcome, Queue
from simorgh_shared.storage.timing import OPERATIONS, REASONS

_VOICE_ANSWERS = ("answered", "job", "failed", "left", "overdue")
LABELS: Mapping[str, frozenset[str] | re.Pattern[str]] = {
    "queue": frozenset(Queue),
    "lane": frozenset(Lane),
    "state": frozenset({"queued", "delayed", "running", "waiting", "in_use", "idle"}),
    "outcome": frozenset({*Outcome, *CHAT_OUTCOMES, *_VOICE_ANSWERS, "ready"}),
    "operation": frozenset({*OPERATIONS, "other"}),
    "reason": frozenset({*REASONS, "late"}),
    "part": frozenset({"database", "broker"}),
    "kind": frozenset({*JobType, "audio", "plain"}),
    "surface": frozenset({"api", "v1"}),
    "folder": frozenset({"work", "cache"}),
    "program": frozenset({"api", "dispatcher", "trainer-worker", "inference", "voice"}),
    "method": frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "(other)"}),
    "status": re.compile(r"[1-5]xx"),
    "route": re.compile(r"\(none\)|/|(/([a-z][a-z0-9.-]*(_[a-z]+)*|\{[a-z_:]+\})(:[a-z]+)?)+"),
    "place": re.compile(r"\d|1\d"),
    "gpu": re.compile(r"(GPU|MIG)-[0-9a-f-]{36}"),
    "version": re.compile(r"\d+\.\d+\.\d+\S*"),
    "le": re.compile(r"\+Inf|\d+(\.\d+)?(e[+-]?\d+)?"),
    # What the client's own collectors tell of Python.
    "generation": re.compile(r"\d"),
    "implementation": frozenset({"CPython"}),
    "major": re.compile(r"\d"),
    "minor": re.compile(r"\d+"),
    "patchlevel": re.compile(r"\d+"),
}
BOUNDS: Mapping[str, int] = {"api": 3_500, "dispatcher": 500, "worker": 600, "inference": 400, "voice": 700}
"""The gateway has some 150 pairs of route and method, each with a histogram of 17 series and a few statuses."""


def samples(text: str) -> list[tuple[str, Mapping[str, str], float]]:
    """Name, labels and value of each series of a scrape."""
    return [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def unexpected(text: str) -> Iterable[str]:
    """The labels and values of a scrape that nobody allowed."""
    for name, labels, _ in samples(text):
        for label, value in labels.items():
            allowed = LABELS.get(label)
            if allowed is None:
                yield f"{name} has the label {label}"
            elif not (value in allowed if isinstance(allowed, frozenset) else allowed.fullmatch(value)):
                yield f'{name} has {label}="{value}"'
