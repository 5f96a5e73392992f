"""Clears `incoming/`: uploads that nobody finished, and files whose job has ended."""

import itertools
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.db.models import Job, Upload
from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.storage.holding import is_held
from simorgh_shared.storage.incoming import IncomingStore

log = structlog.get_logger()
_BATCH = 200


def clear_uploads(sessions: sessionmaker[Session], store: IncomingStore, unfinished_days: float) -> int:
    """One pass; returns how many were cleared. What storage refuses now is tried again next time."""
    with sessions.begin() as session:
        _give_up(session, timedelta(days=unfinished_days))
    with sessions() as session:
        doomed = session.execute(_CLEARABLE).all()
        if is_held(session):  # asked after they were read: see there
            return 0
    cleared = []
    for upload in doomed:
        try:
            store.drop(upload.key, upload.storage_id)
        except UnavailableError:
            break
        cleared.append(upload.id)
    if cleared:
        with sessions.begin() as session:
            session.execute(
                sa.update(Upload).where(Upload.id.in_(cleared)).values(cleared_at=sa.func.clock_timestamp())
            )
        log.info("uploads_cleared", num_uploads=len(cleared))
    return len(cleared)


def sweep_incoming(sessions: sessionmaker[Session], store: IncomingStore, before: datetime) -> int:
    """Drop what no row knows of and is older: left by a process that died in between, or by a project that is gone."""
    num_dropped = 0
    found = store.leftovers(before)
    while some := list(itertools.islice(found, _BATCH)):
        with sessions() as session:
            keys = [key for key, _ in some]
            known = set(session.scalars(sa.select(Upload.key).where(Upload.key.in_(keys), Upload.cleared_at.is_(None))))
        for key, storage_id in some:
            if key not in known:
                store.drop(key, storage_id)
                num_dropped += 1
    if num_dropped:
        log.warning("incoming_swept", num_objects=num_dropped)
    return num_dropped


def _give_up(session: Session, unfinished: timedelta) -> None:
    session.execute(
        sa.update(Upload)
        .where(Upload.status == "open", Upload.last_used_at < sa.func.clock_timestamp() - unfinished)
        .values(status="aborted")
    )


_CLEARABLE = (
    sa.select(Upload.id, Upload.key, Upload.storage_id)
    .outerjoin(Job, Job.id == Upload.job_id)
    .where(
        Upload.cleared_at.is_(None),
        sa.or_(
            Upload.status == "aborted",
            sa.and_(Upload.status == "completed", sa.or_(Job.id.is_(None), Job.finished_at.is_not(None))),
        ),
    )
    .order_by(Upload.last_used_at)
    .limit(_BATCH)
)
