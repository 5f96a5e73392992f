"""Traces: from a request by the dispatcher and a worker to its child's phases, as one (R-OPS-5).

They are kept where an endpoint of OpenTelemetry's protocol is named, and cost nothing else: its packages are imported
by `configure_tracing` alone, and only then. A span tells ids, counts and states, and never what somebody wrote.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Protocol

Value = str | int | float | bool
Attributes = Mapping[str, Value]
_NO_ATTRIBUTES: Attributes = {}
_SDK = "opentelemetry.sdk"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Span(Protocol):
    """Work that goes on."""

    @property
    def traceparent(self) -> str | None:
        """What W3C's header of this name says of it."""

    def set(self, name: str, value: Value) -> None:
        """Tell something of it."""

    def rename(self, name: str) -> None:
        """Its name was not known when it began."""

    def fail(self, reason: str) -> None:
        """It went wrong: the kind of error, without its words."""

    def end(self, at_s: float | None = None) -> None:
        """It has ended, now or then (seconds since 1970)."""


class Backend(Protocol):
    """Where spans go."""

    def begin(
        self,
        name: str,
        parent: str | None,
        attributes: Attributes,
        *,
        is_request: bool = False,
        at_s: float | None = None,
    ) -> Span:
        """Begin a span, below another one of this or another process."""

    def flush(self) -> None:
        """Send what waits."""


class _Nothing:
    """A span of a process that keeps none."""

    traceparent = None

    def set(self, name: str, value: Value) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def fail(self, reason: str) -> None:
        pass

    def end(self, at_s: float | None = None) -> None:
        pass


_NOTHING: Span = _Nothing()
_backend: Backend | None = None
_current: ContextVar[Span] = ContextVar("simorgh_span", default=_NOTHING)


def configure_tracing(service: str) -> None:
    """Keep traces where OpenTelemetry's own variables name an endpoint. Entry points call it once."""
    global _backend  # as logging's and Prometheus' states are the process's
    wanted = any(os.environ.get(name) for name in _ENDPOINTS)
    if wanted and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true":
        if sys.modules.get(_SDK, sys) is None:
            del sys.modules[_SDK]  # see simorgh_shared/__init__.py
        from simorgh_shared.trace_export import OtlpBackend

        _backend = OtlpBackend(service)


def is_on() -> bool:
    """Whether traces are kept."""
    return _backend is not None


def current() -> Span:
    """The span that this thread or task works in."""
    return _current.get()


def outgoing(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers of a request to another of our processes, which goes on with the trace."""
    parent = current().traceparent
    return headers if parent is None else {**headers, "traceparent": parent}


def begin(
    name: str,
    attributes: Attributes = _NO_ATTRIBUTES,
    *,
    parent: str | None,
    is_request: bool = False,
    at_s: float | None = None,
) -> Span:
    """Begin a span that somebody else ends, or that began earlier."""
    if _backend is None:
        return _NOTHING
    return _backend.begin(name, parent, attributes, is_request=is_request, at_s=at_s)


def record(
    name: str, attributes: Attributes = _NO_ATTRIBUTES, *, parent: str | None, begun_s: float, ended_s: float
) -> None:
    """Tell of work that is over."""
    if _backend is not None:
        _backend.begin(name, parent, attributes, at_s=begun_s).end(max(begun_s, ended_s))


@contextlib.contextmanager
def span(name: str, attributes: Attributes = _NO_ATTRIBUTES, *, parent: str | None = None) -> Iterator[Span]:
    """Work that is done in this block, below `parent` or else the current span."""
    if _backend is None:
        yield _NOTHING
        return
    with entered(begin(name, attributes, parent=parent or current().traceparent)) as made:
        yield made


@contextlib.contextmanager
def entered(made: Span) -> Iterator[Span]:
    """Work in this span, and end it."""
    token = _current.set(made)
    try:
        yield made
    except BaseException as error:
        made.fail(type(error).__name__)
        raise
    finally:
        _current.reset(token)
        made.end()


def flush() -> None:
    """Send what waits, before the process ends."""
    if _backend is not None:
        _backend.flush()
