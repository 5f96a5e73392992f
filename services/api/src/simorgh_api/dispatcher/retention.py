"""Lets go of what was kept long enough: checkpoints of ended runs, what was deleted, audio, audit lines (R-MODEL-5).

Each pass is bounded, and any number may run at once: rows are locked first, those of others are passed over, and what
uses them is looked for in a second statement, which sees what was committed until the lock was there. What refers to a
row later meets the lock or its foreign key. Bytes go by `collecting`, once nothing names them any more.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session, sessionmaker

log = structlog.get_logger()
_BATCH = 500
_TERMINAL = "('succeeded', 'failed', 'cancelled')"
_CHECKPOINT_IS_FREE = """
    NOT EXISTS (SELECT 1 FROM jobs j WHERE j.checkpoint_id = c.id)
    AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.init_checkpoint_id = c.id)
    AND NOT EXISTS (SELECT 1 FROM model_versions v WHERE v.checkpoint_id = c.id)
    AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.checkpoint_in = c.id AND a.ended_at IS NULL)
"""
_MODEL_IS_FREE = f"""
    NOT EXISTS (SELECT 1 FROM aliases a WHERE a.model_version_id = v.id)
    AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.spec ->> 'base_version_id' = v.id AND j.status NOT IN {_TERMINAL})
    AND NOT EXISTS (
        SELECT 1 FROM jobs j WHERE v.id IN (j.spec ->> 'model_version_id', j.spec ->> 'voice')
          AND j.status NOT IN {_TERMINAL})
"""  # noqa: S608  # constants of ours, here and below
_DATASET_IS_FREE = f"""
    NOT EXISTS (
        SELECT 1 FROM jobs j WHERE j.spec ->> 'dataset_version_id' = v.id AND j.status NOT IN {_TERMINAL})
"""  # noqa: S608

# Of runs that have ended: all but the newest. Of runs that rest: the same, but what the user asked for stays.
_SURPLUS_CHECKPOINTS = sa.text(
    f"""
    WITH ranked AS (
        SELECT c.id, row_number() OVER (PARTITION BY c.job_id ORDER BY c.step DESC) AS place,
               coalesce(p.checkpoints_kept, :kept) AS kept
        FROM checkpoints c JOIN jobs j ON j.id = c.job_id JOIN projects p ON p.id = j.project_id
        WHERE (j.status IN {_TERMINAL} AND j.finished_at < clock_timestamp() - make_interval(secs => :grace_s))
           OR (j.status IN ('paused', 'stopped') AND c.reason <> 'requested')
    )
    SELECT c.id FROM checkpoints c WHERE c.id IN (SELECT id FROM ranked WHERE place > kept) AND {_CHECKPOINT_IS_FREE}
    LIMIT :batch FOR UPDATE SKIP LOCKED
    """  # noqa: S608
)
_UNUSED_CHECKPOINTS = sa.text(
    f"DELETE FROM checkpoints c WHERE c.id = ANY (:ids) AND {_CHECKPOINT_IS_FREE} RETURNING c.id"  # noqa: S608
)
_DELETED_MODELS = sa.text(
    f"""
    SELECT v.id FROM model_versions v JOIN models m ON m.id = v.model_id
    WHERE m.deleted_at < clock_timestamp() - make_interval(secs => :grace_s) AND v.manifest_id IS NOT NULL
      AND {_MODEL_IS_FREE}
    ORDER BY v.id LIMIT :batch FOR UPDATE OF v SKIP LOCKED
    """  # noqa: S608
)
# The hashes stay in the lineage when the files go.
_EMPTIED_MODELS = sa.text(
    f"""
    UPDATE model_versions v SET manifest_id = NULL, lineage = v.lineage || jsonb_build_object('files', (
        SELECT coalesce(jsonb_object_agg(e.path, e.sha256), '{{}}') FROM manifest_entries e
        WHERE e.manifest_id = v.manifest_id))
    WHERE v.id = ANY (:ids) AND {_MODEL_IS_FREE}
    RETURNING v.id
    """  # noqa: S608
)
_DELETED_DATASETS = sa.text(
    f"""
    SELECT v.id FROM dataset_versions v JOIN datasets d ON d.id = v.dataset_id
    WHERE d.deleted_at < clock_timestamp() - make_interval(secs => :grace_s) AND v.manifest_id IS NOT NULL
      AND {_DATASET_IS_FREE}
    ORDER BY v.id LIMIT :batch FOR UPDATE OF v SKIP LOCKED
    """  # noqa: S608
)
_EMPTIED_DATASETS = sa.text(
    f"""
    UPDATE dataset_versions v SET manifest_id = NULL WHERE v.id = ANY (:ids) AND {_DATASET_IS_FREE}
    RETURNING v.id
    """  # noqa: S608
)
# A manifest and what names it are made in one transaction; an hour is longer than any.
_ORPHANED_MANIFESTS = sa.text(
    """
    WITH doomed AS (
        SELECT m.id FROM manifests m WHERE m.created_at < clock_timestamp() - interval '1 hour'
          AND NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.manifest_id = m.id)
          AND NOT EXISTS (SELECT 1 FROM model_versions v WHERE v.manifest_id = m.id)
          AND NOT EXISTS (SELECT 1 FROM dataset_versions v WHERE v.manifest_id = m.id)
        LIMIT :batch FOR UPDATE SKIP LOCKED
    )
    DELETE FROM manifests m USING doomed d WHERE m.id = d.id RETURNING m.id
    """
)

# What came to be heard and what was spoken. No row of it stays: a blob is kept by any row that names it.
_AUDIO_IS_FREE = f"""
    NOT EXISTS (SELECT 1 FROM jobs j WHERE j.spec ->> 'file_id' = f.id AND j.status NOT IN {_TERMINAL})
"""  # noqa: S608
_OLD_AUDIO = sa.text(
    f"""
    SELECT f.id FROM files f
    WHERE f.purpose IN ('audio', 'speech') AND f.created_at < clock_timestamp() - make_interval(secs => :kept_s)
      AND {_AUDIO_IS_FREE}
    ORDER BY f.created_at LIMIT :batch FOR UPDATE SKIP LOCKED
    """  # noqa: S608
)
_RETIRED_AUDIO = sa.text(
    f"DELETE FROM files f WHERE f.id = ANY (:ids) AND {_AUDIO_IS_FREE} RETURNING f.id"  # noqa: S608
)


@dataclass(frozen=True)
class Rules:
    """How long things stay."""

    checkpoints_kept: int
    """Of a run that has ended or rests, where its project says nothing else."""
    ended_grace_s: float
    """A run that has ended keeps all of them for so long."""
    deleted_grace_s: float
    """What was deleted keeps its files for so long."""
    audit_days: int | None
    """None keeps audit lines for ever."""
    voice_audio_kept_s: float = 7 * 86_400.0
    """Audio that came and audio that was made stay for so long; a job that still needs its file keeps it."""


@dataclass(frozen=True)
class LetGo:
    """How much went in one pass."""

    num_checkpoints: int
    num_model_versions: int
    num_dataset_versions: int
    num_manifests: int
    num_audit_lines: int
    num_audio_files: int


def let_go(sessions: sessionmaker[Session], rules: Rules, batch: int = _BATCH) -> LetGo:
    """One pass, each kind in a transaction of its own."""
    gone = LetGo(
        _pass(
            sessions,
            _SURPLUS_CHECKPOINTS,
            _UNUSED_CHECKPOINTS,
            {"kept": rules.checkpoints_kept, "grace_s": rules.ended_grace_s, "batch": batch},
        ),
        _pass(sessions, _DELETED_MODELS, _EMPTIED_MODELS, {"grace_s": rules.deleted_grace_s, "batch": batch}),
        _pass(sessions, _DELETED_DATASETS, _EMPTIED_DATASETS, {"grace_s": rules.deleted_grace_s, "batch": batch}),
        _manifests(sessions, batch),
        _audit_lines(sessions, rules.audit_days, batch),
        _pass(sessions, _OLD_AUDIO, _RETIRED_AUDIO, {"kept_s": rules.voice_audio_kept_s, "batch": batch}),
    )
    if any(asdict(gone).values()):
        log.info("retention_passed", **asdict(gone))
    return gone


def _pass(
    sessions: sessionmaker[Session], candidates: sa.TextClause, act: sa.TextClause, limits: dict[str, float]
) -> int:
    with sessions.begin() as session:
        ids: Sequence[str] = session.scalars(candidates, limits).all()
        return len(session.execute(act, {"ids": list(ids)}).all()) if ids else 0


def _manifests(sessions: sessionmaker[Session], batch: int) -> int:
    with sessions.begin() as session:
        return len(session.execute(_ORPHANED_MANIFESTS, {"batch": batch}).all())


def _audit_lines(sessions: sessionmaker[Session], days: int | None, batch: int) -> int:
    if days is None:
        return 0
    with sessions.begin() as session:
        return session.scalar(sa.select(sa.func.retire_audit_events(days, batch))) or 0
