"""The gateway without what it tells Prometheus: the other half of the comparison in benchmarks/observe.py.

Counters, gauges and histograms do nothing, and nobody listens to what the database's and the storage's clients do.
Everything else is the same code: the request's id, its line in the log, its headers.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import prometheus_client
import psycopg


class Nothing:
    """Takes the place of each kind of metric."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """As little as what follows."""

    def labels(self, *_: Any) -> "Nothing":
        """Itself."""
        return self

    def inc(self, *_: Any) -> None:
        """Nothing."""

    dec = set = observe = set_function = inc

    @contextlib.contextmanager
    def _around(self) -> Iterator[None]:
        yield

    def time(self) -> Any:
        """Around something."""
        return self._around()

    track_inprogress = time


def main() -> None:
    """Serve like `simorgh-api`."""
    for kind in ("Counter", "Gauge", "Histogram"):
        setattr(prometheus_client, kind, Nothing)
    import simorgh_shared.db.timing
    import simorgh_shared.storage.timing

    simorgh_shared.db.timing.watch = lambda *_: None
    simorgh_shared.db.timing.TimedCursor = psycopg.Cursor
    simorgh_shared.storage.timing.watch = lambda *_: None
    import simorgh_shared.exposition

    simorgh_shared.exposition.introduce = lambda *_: None
    from simorgh_api import main as gateway

    gateway.main()


if __name__ == "__main__":
    main()
