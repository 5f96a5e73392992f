"""What machines and processes do, and what waits for them: of the installation, so without ids of anybody's jobs."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.dispatcher import depths
from simorgh_shared.db.models import HardwareHistory, HardwareSource, Job, Worker
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.domain.jobs import JobStatus, Lane, Queue
from simorgh_shared.monitoring.history import KEPT_S, LONG_PERIOD_S
from simorgh_shared.schemas.monitoring import (
    HardwareView,
    HistoryPoint,
    HistoryView,
    MonitoringView,
    NodeFacts,
    NodeView,
    ProcessView,
    QueueView,
    Sample,
    Scope,
    Window,
    WorkerFacts,
)

_MISSED = 3  # so many samples in a row, and a process is not shown any more
_WINDOWS = {Window.HOUR: timedelta(hours=1), Window.DAY: timedelta(days=1), Window.WEEK: timedelta(days=7)}


def monitoring(session: Session) -> MonitoringView:
    """All of it now."""
    sources = _live(session)
    workers = _workers(session)
    return MonitoringView(
        at=datetime.now(UTC),
        nodes=[_node(name, on_it) for name, on_it in _by_node(sources).items()],
        processes=[
            ProcessView(
                name=source.name,
                service=source.service,
                node=source.node,
                at=source.at,
                started_at=source.started_at,
                figures=sample.process,
                limits=sample.limits,
                worker=workers.get(source.name),
            )
            for source in sources
            for sample in (Sample.model_validate(source.sample),)
        ],
        queues=_queues(session),
    )


def hardware(session: Session) -> list[HardwareView]:
    """The machines that processes of the platform are on."""
    found = []
    for name, on_it in _by_node(_live(session)).items():
        node, facts = _node(name, on_it), NodeFacts.model_validate(on_it[0].facts)
        found.append(HardwareView(name=name, facts=facts, figures=node.figures, missing=node.missing, at=node.at))
    return found


def history(session: Session, scope: Scope, name: str, window: Window) -> HistoryView:
    """What was measured of a node, a process or a queue.

    Raises: NotFoundError for one that is not known.
    """
    sources = _sources_of(session, scope, name)
    if not sources:
        raise NotFoundError("monitoring_unknown", scope=str(scope), name=name)
    names = [source.name for source in sources]
    short_s = max(1, round(sources[0].every_s))
    period_s = short_s if window is Window.HOUR else LONG_PERIOD_S
    rows = session.execute(
        sa.select(HardwareHistory.at, HardwareHistory.figures)
        .where(HardwareHistory.source.in_(names), HardwareHistory.period_s == period_s)
        .where(HardwareHistory.at > sa.func.clock_timestamp() - _WINDOWS[window])
        .order_by(HardwareHistory.at)
    ).all()
    points = [HistoryPoint(at=at, values=values) for at, values in _merged(rows, _prefix(scope, name), scope)]
    return HistoryView(scope=scope, name=name, window=window, period_s=period_s, points=points)


def prune(session: Session) -> int:
    """Forget processes that have not been heard of since before any figure of theirs would be kept."""
    kept = timedelta(seconds=KEPT_S)
    gone = sa.delete(HardwareSource).where(HardwareSource.at < sa.func.clock_timestamp() - kept)
    return len(session.scalars(gone.returning(HardwareSource.name)).all())


def _live(session: Session) -> Sequence[HardwareSource]:
    age_s = sa.func.extract("epoch", sa.func.clock_timestamp() - HardwareSource.at)
    alive = sa.and_(HardwareSource.ended_at.is_(None), age_s < _MISSED * HardwareSource.every_s + 5)
    return session.scalars(sa.select(HardwareSource).where(alive).order_by(HardwareSource.name)).all()


def _by_node(sources: Sequence[HardwareSource]) -> dict[str, list[HardwareSource]]:
    """The processes on each machine, the newest sample first, and of those that look at GPUs before all."""
    found: dict[str, list[HardwareSource]] = defaultdict(list)
    for source in sources:
        found[source.node].append(source)
    for on_it in found.values():
        on_it.sort(key=lambda source: (source.sample["node"]["gpus"] is not None, source.at), reverse=True)
    return dict(sorted(found.items()))


def _node(name: str, on_it: Sequence[HardwareSource]) -> NodeView:
    sample = Sample.model_validate(on_it[0].sample)
    services = sorted({source.service for source in on_it})
    return NodeView(name=name, at=on_it[0].at, services=services, figures=sample.node, missing=sample.missing)


def _workers(session: Session) -> dict[str, WorkerFacts]:
    running = dict(
        session.execute(
            sa.select(Job.lease_owner, sa.func.count()).where(Job.status == JobStatus.RUNNING).group_by(Job.lease_owner)
        )
        .tuples()
        .all()
    )
    return {
        worker.id: WorkerFacts(
            queues=worker.queues, slots=worker.slots, running=running.get(worker.id, 0), draining=worker.draining
        )
        for worker in session.scalars(sa.select(Worker))
    }


def _queues(session: Session) -> list[QueueView]:
    found = depths.read(session)
    views = []
    for queue in Queue:
        jobs = {state: sum(found.jobs.get((queue, lane, state), 0) for lane in Lane) for state in depths.STATES}
        ages = [found.oldest_s[queue, lane] for lane in Lane if (queue, lane) in found.oldest_s]
        slots = found.slots.get(queue, 0)
        views.append(QueueView(queue=queue, **jobs, oldest_age_s=max(ages, default=None), slots=slots))
    return views


def _sources_of(session: Session, scope: Scope, name: str) -> Sequence[HardwareSource]:
    query = sa.select(HardwareSource).order_by(HardwareSource.at.desc())
    if scope is Scope.NODE:
        query = query.where(HardwareSource.node == name)
    elif scope is Scope.PROCESS:
        query = query.where(HardwareSource.name == name)
    elif name in set(Queue):
        query = query.where(HardwareSource.service == "dispatcher")
    else:
        return []
    return session.scalars(query).all()


def _prefix(scope: Scope, name: str) -> tuple[str, ...]:
    if scope is Scope.QUEUE:
        return (f"queue_{name}_",)
    return ("node_", "gpu_") if scope is Scope.NODE else ()


def _merged(
    rows: Sequence[Any], prefixes: tuple[str, ...], scope: Scope
) -> list[tuple[datetime, dict[str, float | None]]]:
    """Means over the sources of each moment; only the scope's figures, without its prefix."""
    moments: dict[datetime, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for at, figures in rows:
        for name, value in figures.items():
            shown = _shown(name, prefixes, scope)
            if shown is not None:
                found = moments[at][shown]
                if value is not None:
                    found.append(value)
    return [
        (at, {name: sum(values) / len(values) if values else None for name, values in sorted(figures.items())})
        for at, figures in sorted(moments.items())
    ]


def _shown(name: str, prefixes: tuple[str, ...], scope: Scope) -> str | None:
    if scope is Scope.PROCESS:
        return None if name.startswith(("node_", "gpu_", "queue_")) else name
    if not name.startswith(prefixes):
        return None
    return name if name.startswith("gpu_") else name.removeprefix(prefixes[0])
