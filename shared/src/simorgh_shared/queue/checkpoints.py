"""A job's checkpoints: committed behind the lease, retired when old, given up when their objects are lost."""

from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import Checkpoint
from simorgh_shared.domain.ids import new_id
from simorgh_shared.queue import leases
from simorgh_shared.queue.leases import AppliedEvent, Event, Lease
from simorgh_shared.storage import manifests
from simorgh_shared.storage.manifests import Entry

REQUESTED = "requested"
"""The reason of a checkpoint that the user asked for."""
_MOST_REQUESTED = 50  # of one run; whoever asks for more gets the newest


def commit(
    session: Session, lease: Lease, step: int, reason: str, entries: list[Entry], kept: int
) -> list[AppliedEvent]:
    """Make a stored checkpoint the one to resume from; retire all but the newest `kept` that nothing uses. What the
    user asked for is not counted among them and stays while the run lives.

    Raises: LeaseLostError.
    """
    leases.lock(session, lease)
    manifest_id = manifests.create(session, "checkpoint", entries)
    checkpoint_id = new_id("ckpt")
    old = session.scalar(sa.select(Checkpoint).where(Checkpoint.job_id == lease.job_id, Checkpoint.step == step))
    if old is None:
        session.add(
            Checkpoint(
                id=checkpoint_id,
                job_id=lease.job_id,
                attempt=lease.attempt,
                step=step,
                reason=reason,
                manifest_id=manifest_id,
            )
        )
    else:  # another attempt saved this step before: the same step of the same job, told anew
        checkpoint_id = old.id
        old.manifest_id, old.attempt = manifest_id, lease.attempt
        old.reason = REQUESTED if old.reason == REQUESTED else reason
    session.flush()
    session.execute(
        sa.text(
            "UPDATE jobs SET checkpoint_id = :checkpoint_id, step_done = greatest(step_done, :step),"
            " failures_in_row = 0 WHERE id = :job_id AND lease_token = :token"
        ),
        {"checkpoint_id": checkpoint_id, "step": step, "job_id": lease.job_id, "token": lease.token},
    )
    _retire(session, lease.job_id, kept)
    payload = {
        "checkpoint_id": checkpoint_id,
        "step": step,
        "reason": reason,
        "bytes": sum(entry.blob.bytes for entry in entries),
        "sha256": manifests.content_sha256(entries),
    }
    return [leases.append(session, lease.job_id, lease.attempt, Event("checkpoint", payload))]


def mark_requested(session: Session, lease: Lease, step: int) -> None:
    """Note that the user asked for the checkpoint of this step, which was saved for another reason.

    Raises: LeaseLostError.
    """
    leases.lock(session, lease)
    session.execute(
        sa.update(Checkpoint).where(Checkpoint.job_id == lease.job_id, Checkpoint.step == step).values(reason=REQUESTED)
    )


def lose(session: Session, lease: Lease, checkpoint_id: str, path: str) -> tuple[Lease, AppliedEvent]:
    """Give up a checkpoint whose object is gone or damaged; the attempt goes on from the one before, or from none.

    The only way in which `step_done` falls, and the event says so.
    Raises: LeaseLostError.
    """
    leases.lock(session, lease)
    older = session.execute(
        sa.select(Checkpoint.id, Checkpoint.step)
        .where(Checkpoint.job_id == lease.job_id, Checkpoint.id != checkpoint_id)
        .where(Checkpoint.step < sa.select(Checkpoint.step).where(Checkpoint.id == checkpoint_id).scalar_subquery())
        .order_by(Checkpoint.step.desc())
        .limit(1)
    ).one_or_none()
    next_id, step = (older.id, older.step) if older is not None else (None, 0)
    values = {"job_id": lease.job_id, "next_id": next_id, "step": step, "attempt": lease.attempt}
    session.execute(sa.text("UPDATE jobs SET checkpoint_id = :next_id, step_done = :step WHERE id = :job_id"), values)
    session.execute(
        sa.text(
            "UPDATE attempts SET checkpoint_in = coalesce(:next_id, (SELECT init_checkpoint_id FROM jobs"
            " WHERE id = :job_id)) WHERE job_id = :job_id AND attempt = :attempt"
        ),
        values,
    )
    drop(session, lease.job_id, only=checkpoint_id)
    payload = {"checkpoint_id": checkpoint_id, "path": path, "next_checkpoint_id": next_id, "step": step}
    event = leases.append(session, lease.job_id, lease.attempt, Event("checkpoint_lost", payload))
    return replace(lease, checkpoint_id=next_id, step_done=step), event


def drop(session: Session, job_id: str, only: str | None = None) -> None:
    """Delete a job's checkpoints (or only one) that no other job starts from and no model came from."""
    session.execute(
        sa.delete(Checkpoint).where(
            Checkpoint.job_id == job_id,
            sa.true() if only is None else Checkpoint.id == only,
            sa.text(
                "NOT EXISTS (SELECT 1 FROM jobs j WHERE checkpoints.id IN (j.checkpoint_id, j.init_checkpoint_id))"
                " AND NOT EXISTS (SELECT 1 FROM model_versions v WHERE v.checkpoint_id = checkpoints.id)"
            ),
        )
    )


def _retire(session: Session, job_id: str, kept: int) -> None:
    """Delete the oldest checkpoints beyond `kept`, never one in use. Their manifests and blobs are collected later."""
    session.execute(
        sa.text(
            """
            DELETE FROM checkpoints c WHERE c.job_id = :job_id
              AND c.id NOT IN (SELECT id FROM checkpoints WHERE job_id = :job_id AND reason <> :requested
                               ORDER BY step DESC LIMIT :kept)
              AND c.id NOT IN (SELECT id FROM checkpoints WHERE job_id = :job_id AND reason = :requested
                               ORDER BY step DESC LIMIT :most_requested)
              AND NOT EXISTS (SELECT 1 FROM jobs j WHERE c.id IN (j.checkpoint_id, j.init_checkpoint_id))
              AND NOT EXISTS (SELECT 1 FROM model_versions v WHERE v.checkpoint_id = c.id)
              AND NOT EXISTS (
                  SELECT 1 FROM attempts a WHERE a.checkpoint_in = c.id AND a.ended_at IS NULL)
            """
        ),
        {"job_id": job_id, "kept": kept, "requested": REQUESTED, "most_requested": _MOST_REQUESTED},
    )
