"""What a project uses and may use: queued jobs, stored bytes, GPU hours (R-AUTH-5).

The defaults travel in `Session.info`, so that whatever queues a job in the gateway is checked without asking for it.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import Job, Project, ProjectQuota
from simorgh_shared.domain.errors import LimitedError
from simorgh_shared.domain.jobs import RESTING, UNMETERED, JobStatus
from simorgh_shared.queue.submit import ADMIT, NewJob
from simorgh_shared.schemas.usage import CountUsage, GpuUsage, UsageView

_KEY = "quotas"
_SOON_S = 30  # a queue moves
_LATER_S = 3_600  # somebody has to delete something, or a day has to pass
# Each blob once, however many versions and checkpoints hold it, and what is on its way; what runs now may add to it
# until it ends.
_STORED_BYTES = sa.text(
    """
    WITH held AS (
        SELECT v.manifest_id FROM datasets d JOIN dataset_versions v ON v.dataset_id = d.id
        WHERE d.project_id = :project_id AND d.deleted_at IS NULL
        UNION ALL
        SELECT v.manifest_id FROM models m JOIN model_versions v ON v.model_id = m.id
        WHERE m.project_id = :project_id AND m.deleted_at IS NULL
        UNION ALL
        SELECT c.manifest_id FROM jobs j JOIN checkpoints c ON c.job_id = j.id WHERE j.project_id = :project_id
    ), content AS (
        SELECT e.sha256, e.bytes FROM held JOIN manifest_entries e USING (manifest_id)
        UNION
        SELECT sha256, bytes FROM files WHERE project_id = :project_id AND deleted_at IS NULL
        UNION ALL
        SELECT u.id, u.bytes FROM uploads u LEFT JOIN jobs j ON j.id = u.job_id
        WHERE u.project_id = :project_id AND (u.status = 'open' OR (u.status = 'completed' AND j.finished_at IS NULL))
    )
    SELECT coalesce(sum(bytes), 0)::bigint FROM content
    """
)
_GPU_SECONDS = sa.text(
    """
    SELECT coalesce(sum(jsonb_array_length(a.devices) * extract(epoch FROM
        coalesce(a.ended_at, clock_timestamp()) - greatest(a.started_at, now() - :window))), 0)::double precision
    FROM attempts a JOIN jobs j ON j.id = a.job_id
    WHERE a.devices <> '[]' AND (a.ended_at IS NULL OR a.ended_at > now() - :window) AND j.project_id = :project_id
    """
)


@dataclass(frozen=True)
class Quotas:
    """What a project may use."""

    queued_jobs: int
    stored_bytes: int
    gpu_hours: float
    window: timedelta
    """GPU hours are counted over so long."""


def session_info(defaults: Quotas) -> dict[str, Any]:
    """What the sessions of a gateway carry."""
    return {_KEY: defaults, ADMIT: _admit_new}


def usage(session: Session, project_id: str) -> UsageView:
    """What a project uses, beside what it may."""
    limits = _limits(session, project_id)
    return UsageView(
        project_id=project_id,
        queued_jobs=CountUsage(used=_queued_jobs(session, project_id), limit=limits.queued_jobs),
        stored_bytes=CountUsage(used=_stored_bytes(session, project_id), limit=limits.stored_bytes),
        gpu_hours=GpuUsage(
            used=round(_gpu_hours(session, project_id, limits.window), 3),
            limit=limits.gpu_hours,
            window_days=limits.window / timedelta(days=1),
        ),
    )


def admit_job(session: Session, project_id: str, num_gpus: int) -> None:
    """Let a job on its queue, or not.

    Raises: LimitedError with the numbers.
    """
    _one_at_a_time(session, project_id)
    limits = _limits(session, project_id)
    queued = _queued_jobs(session, project_id)
    if queued >= limits.queued_jobs:
        raise LimitedError("quota_queued_jobs", retry_after_s=_SOON_S, used=queued, limit=limits.queued_jobs)
    if num_gpus > 0:
        hours = _gpu_hours(session, project_id, limits.window)
        if hours >= limits.gpu_hours:
            days = limits.window / timedelta(days=1)
            raise LimitedError(
                "quota_gpu_hours", retry_after_s=_LATER_S, used=round(hours, 1), limit=limits.gpu_hours, days=days
            )
    require_room(session, project_id, more_bytes=1)


def admit_resumed(session: Session, project_id: str, job_id: str) -> None:
    """The same for a job that rests and would be queued again.

    Raises: LimitedError with the numbers.
    """
    num_gpus = session.scalar(
        sa.select(Job.num_gpus).where(Job.id == job_id, Job.project_id == project_id, Job.status.in_(RESTING))
    )
    if num_gpus is not None:
        admit_job(session, project_id, num_gpus)


def require_room(session: Session, project_id: str, more_bytes: int = 0) -> None:
    """Whether what is stored, and so many bytes more, is within the quota.

    Raises: LimitedError with the numbers.
    """
    _one_at_a_time(session, project_id)
    limit = _limits(session, project_id).stored_bytes
    used = _stored_bytes(session, project_id)
    if used + more_bytes > limit:
        raise LimitedError("quota_stored_bytes", retry_after_s=_LATER_S, used=used, limit=limit)


def _admit_new(session: Session, new: NewJob) -> None:
    admit_job(session, new.project_id, new.num_gpus)


def _one_at_a_time(session: Session, project_id: str) -> None:
    """Others of the project wait until this transaction ends: what was counted holds."""
    session.execute(sa.select(Project.id).where(Project.id == project_id).with_for_update(key_share=True))


def _limits(session: Session, project_id: str) -> Quotas:
    defaults: Quotas = session.info[_KEY]
    own = session.get(ProjectQuota, project_id)
    if own is None:
        return defaults
    return Quotas(
        defaults.queued_jobs if own.queued_jobs is None else own.queued_jobs,
        defaults.stored_bytes if own.stored_bytes is None else own.stored_bytes,
        defaults.gpu_hours if own.gpu_hours is None else own.gpu_hours,
        defaults.window,
    )


def _queued_jobs(session: Session, project_id: str) -> int:
    mine = sa.select(sa.func.count()).where(Job.project_id == project_id, Job.status == JobStatus.QUEUED)
    return session.scalar(mine.where(Job.type.not_in(UNMETERED))) or 0


def _stored_bytes(session: Session, project_id: str) -> int:
    return session.scalar(_STORED_BYTES, {"project_id": project_id}) or 0


def _gpu_hours(session: Session, project_id: str, window: timedelta) -> float:
    seconds = session.scalar(_GPU_SECONDS, {"project_id": project_id, "window": window})
    return float(seconds or 0) / 3_600
