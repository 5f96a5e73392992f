"""Collects blobs that nothing refers to: their rows first, their objects after the commit."""

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.db.models import BlobDeletion
from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.storage.blobs import BlobStore, collect

log = structlog.get_logger()
_BATCH = 200


def collect_blobs(sessions: sessionmaker[Session], store: BlobStore, unused_s: float) -> int:
    """One pass; returns how many objects were deleted. What storage refuses now is tried again next time."""
    with sessions.begin() as session:
        collect(session, unused_s)
    with sessions() as session:
        keys = session.scalars(sa.select(BlobDeletion.key).order_by(BlobDeletion.noted_at).limit(_BATCH)).all()
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
