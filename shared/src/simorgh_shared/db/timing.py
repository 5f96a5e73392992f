"""How long PostgreSQL takes for a statement, what goes wrong, and how full the pool is; told to Prometheus."""

import time
import weakref
from collections.abc import Iterable
from typing import Self

import psycopg
import sqlalchemy as sa
from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from psycopg.abc import Params, QueryNoTemplate
from psycopg.rows import TupleRow
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import QueuePool

_SECONDS = Histogram(
    "simorgh_database_statement_seconds",
    "From a statement to its answer, waiting for locks included",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_FAILURES = Counter(
    "simorgh_database_failures_total",
    "Statements that failed because the database was not there, or because they took too long or met a deadlock",
    ["reason"],
)
_LATE = ("55P03", "57014", "40P01")
"""PostgreSQL's codes for a lock that was not had in time, a statement that took too long, and a deadlock."""
_limits: "weakref.WeakKeyDictionary[sa.Engine, int]" = weakref.WeakKeyDictionary()

for _reason in ("silent", "late"):
    _FAILURES.labels(_reason)


class TimedCursor(psycopg.Cursor[TupleRow]):
    """Times what it executes. SQLAlchemy's events before and after a statement would cost six times as much."""

    def execute(  # type: ignore[override]  # SQLAlchemy gives strings, never templates
        self,
        query: QueryNoTemplate,
        params: Params | None = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
    ) -> Self:
        """As its base class."""
        began = time.perf_counter()
        try:
            return super().execute(query, params, prepare=prepare, binary=binary)
        finally:
            _SECONDS.observe(time.perf_counter() - began)

    def executemany(  # type: ignore[override]
        self, query: QueryNoTemplate, params_seq: Iterable[Params], *, returning: bool = False
    ) -> None:
        """As its base class; all of it counts as one."""
        began = time.perf_counter()
        try:
            super().executemany(query, params_seq, returning=returning)
        finally:
            _SECONDS.observe(time.perf_counter() - began)


def watch(engine: sa.Engine, most_connections: int) -> None:
    """Show the pool of an engine, and count what fails in it."""
    _limits[engine] = most_connections
    sa.event.listen(engine, "handle_error", _fail)


def _fail(context: ExceptionContext) -> None:
    """What a statement did wrong by itself, such as a name that is taken, is no failure of the database."""
    if context.is_disconnect or context.connection is None:
        _FAILURES.labels("silent").inc()
    elif isinstance(context.original_exception, psycopg.Error) and context.original_exception.sqlstate in _LATE:
        _FAILURES.labels("late").inc()


class PoolCollector(Collector):
    """The connections of all engines of this process."""

    def describe(self) -> Iterable[Metric]:
        """Their names, without looking at an engine."""
        return self._families()

    def collect(self) -> Iterable[Metric]:
        """Count now."""
        connections, limit = self._families()
        pools = [engine.pool for engine in list(_limits) if isinstance(engine.pool, QueuePool)]
        connections.add_metric(["in_use"], sum(pool.checkedout() for pool in pools))
        connections.add_metric(["idle"], sum(pool.checkedin() for pool in pools))
        limit.add_metric([], sum(_limits.values()))
        return connections, limit

    def _families(self) -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
        return (
            GaugeMetricFamily("simorgh_database_connections", "Connections to PostgreSQL", labels=["state"]),
            GaugeMetricFamily("simorgh_database_connections_limit", "As many as this process may open"),
        )


REGISTRY.register(PoolCollector())
