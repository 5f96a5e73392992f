"""What the jobs that run in this worker tell Prometheus: waiting, running, and the figures of a run that trains.

Labels name a queue, a lane or the place that a run has in its worker: never a job, of which there is no end. A place is
the smallest number that is free, and its series go with the run.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from simorgh_shared.queue.applying import MetricPoint
from simorgh_shared.queue.leases import Lease

_RUNNING = Gauge("simorgh_worker_running_jobs", "Jobs that this worker runs now", ["queue"])
_WAIT_SECONDS = Histogram(
    "simorgh_job_wait_seconds",
    "How long a job was eligible before a worker claimed it",
    ["queue", "lane"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 43_200),
)
_ATTEMPT_SECONDS = Histogram(
    "simorgh_attempt_seconds",
    "How long an attempt held its slot, however it ended",
    ["queue"],
    buckets=(0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400),
)
_STEPS = Counter("simorgh_training_steps_total", "Optimiser's steps that runs have told of")
_GAUGES: Mapping[str, Gauge] = {
    "loss": Gauge("simorgh_training_loss", "Loss over the last window, in nats a token", ["place"]),
    "eval_loss": Gauge("simorgh_training_held_out_loss", "Loss on the held-out rows", ["place"]),
    "learning_rate": Gauge("simorgh_training_learning_rate", "The optimiser's rate", ["place"]),
    "grad_norm": Gauge("simorgh_training_gradient_norm", "Norm of the gradient before it is clipped", ["place"]),
    "tokens_per_s": Gauge("simorgh_training_tokens_per_second", "Real tokens, padding not counted", ["place"]),
    "flop_utilisation": Gauge(
        "simorgh_training_flop_utilisation_ratio", "The model's operations by those of a bare matrix product", ["place"]
    ),
    "memory_bytes": Gauge("simorgh_training_memory_bytes", "What the run says that it holds on its device", ["place"]),
    "eta_s": Gauge("simorgh_training_remaining_seconds", "What the run expects to need still", ["place"]),
}
"""By the names under which a child tells of them."""
_STEP = Gauge("simorgh_training_step", "The step that was told of last", ["place"])
_PLANNED = Gauge("simorgh_training_planned_steps", "The steps of the whole run", ["place"])


@contextlib.contextmanager
def running(lease: Lease) -> Iterator[None]:
    """Count an attempt while it runs."""
    _WAIT_SECONDS.labels(lease.queue, lease.lane).observe(lease.waited_s)
    began = time.monotonic()
    with _RUNNING.labels(lease.queue).track_inprogress():
        try:
            yield
        finally:
            _ATTEMPT_SECONDS.labels(lease.queue).observe(time.monotonic() - began)


_taken: set[int] = set()
_taking = threading.Lock()


class RunFigures:
    """The newest figures of one run. One that tells of none takes no place."""

    def __init__(self) -> None:
        self._place: int | None = None
        self._step: int | None = None
        self._progress: dict[str, Any] = {}

    def close(self) -> None:
        """Take its series away."""
        if self._place is None:
            return
        for gauge in (*_GAUGES.values(), _STEP, _PLANNED):
            with contextlib.suppress(KeyError):
                gauge.remove(str(self._place))
        with _taking:
            _taken.discard(self._place)

    def note(self, points: Sequence[MetricPoint], progress: Mapping[str, Any]) -> None:
        """Show what a run has told; names that no chart of ours knows are left out."""
        self._progress |= progress
        known = [point for point in points if point.name in _GAUGES]
        if not known:
            return
        place = self._number()
        for point in known:
            _GAUGES[point.name].labels(place).set(point.value)
        step = max(point.step for point in known)
        before = int(self._progress.get("from_step") or 0) if self._step is None else self._step
        _STEPS.inc(max(0, step - before))
        self._step = step
        _STEP.labels(place).set(step)
        _PLANNED.labels(place).set(float(self._progress.get("total_steps") or 0))

    def _number(self) -> str:
        with _taking:
            if self._place is None:
                self._place = next(number for number in range(len(_taken) + 1) if number not in _taken)
                _taken.add(self._place)
        return str(self._place)
