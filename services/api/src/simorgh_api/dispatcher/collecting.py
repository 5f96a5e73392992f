"""Collects blobs that nothing refers to: their rows first, their objects after the commit; and parts never joined."""

from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.db.models import BlobDeletion
from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.storage.blobs import BlobStore, collect
from simorgh_shared.storage.holding import is_held

log = structlog.get_logger()
_BATCH = 200


def collect_blobs(sessions: sessionmaker[Session], store: BlobStore, unused_s: float) -> int:
    """One pass; returns how many objects were deleted. What storage refuses now is tried again next time."""
    with sessions.begin() as session:
        collect(session, unused_s)
    with sessions() as session:
        keys = session.scalars(
            sa.select(BlobDeletion.key)
            .where(BlobDeletion.noted_at <= sa.func.clock_timestamp())  # later: someone is still writing it
            .order_by(BlobDeletion.noted_at)
            .limit(_BATCH)
        ).all()
        if is_held(session):  # asked after they were read: see there
            return 0
    deleted = []
    for key in keys:
        try:
            store.delete(key)
        except UnavailableError:
            break
        deleted.append(key)
    if deleted:
        with sessions.begin() as session:
            session.execute(sa.delete(BlobDeletion).where(BlobDeletion.key.in_(deleted)))
        log.info("blobs_collected", num_objects=len(deleted))
    return len(deleted)


def sweep_parts(store: BlobStore, before: datetime) -> int:
    """Drop parts of blobs that were begun before then: whoever sent them has died. Returns of how many.

    Raises: UnavailableError when the storage is silent.
    """
    doomed = list(store.unjoined_parts(before))
    for key, storage_id in doomed:
        store.abort_parts(key, storage_id)
    if doomed:
        log.warning("blob_parts_swept", num_objects=len(doomed))
    return len(doomed)
