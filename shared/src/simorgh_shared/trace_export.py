"""Sends spans by OpenTelemetry's protocol over HTTP. Imported only where an endpoint is named (see `tracing`)."""

from collections.abc import Mapping
from importlib import metadata

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from simorgh_shared.tracing import Span, Value

_FLUSH_MS = 3_000
_PROPAGATOR = TraceContextTextMapPropagator()


class OtlpBackend:
    """Endpoint, headers, sampling and pace are OpenTelemetry's own variables."""

    def __init__(self, service: str) -> None:
        version = metadata.version("simorgh-shared")
        resource = Resource.create({"service.name": f"simorgh-{service}", "service.version": version})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("simorgh", version)

    def begin(
        self,
        name: str,
        parent: str | None,
        attributes: Mapping[str, Value],
        *,
        is_request: bool = False,
        at_s: float | None = None,
    ) -> Span:
        """Begin a span, below another one of this or another process."""
        context = Context() if parent is None else _PROPAGATOR.extract({"traceparent": parent}, Context())
        kind = trace.SpanKind.SERVER if is_request else trace.SpanKind.INTERNAL
        begun_ns = None if at_s is None else round(at_s * 1e9)
        made = self._tracer.start_span(name, context, kind, dict(attributes), start_time=begun_ns)
        return OtlpSpan(made)

    def flush(self) -> None:
        """Send what waits."""
        self._provider.force_flush(_FLUSH_MS)


class OtlpSpan:
    """A span of OpenTelemetry's."""

    def __init__(self, made: trace.Span) -> None:
        self._made = made

    @property
    def traceparent(self) -> str | None:
        """What W3C's header of this name says of it."""
        context = self._made.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"

    def set(self, name: str, value: Value) -> None:
        """Tell something of it."""
        self._made.set_attribute(name, value)

    def rename(self, name: str) -> None:
        """Its name was not known when it began."""
        self._made.update_name(name)

    def fail(self, reason: str) -> None:
        """It went wrong."""
        self._made.set_status(trace.Status(trace.StatusCode.ERROR, reason))

    def end(self, at_s: float | None = None) -> None:
        """It has ended, now or then."""
        self._made.end(None if at_s is None else round(at_s * 1e9))
