"""The evaluation: one job for each model hears the clips, and when all have ended their scores become one report."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import File, Job
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import JobType, Lane, Queue
from simorgh_shared.queue import endings, parents
from simorgh_shared.queue.leases import Lease, LeaseLostError
from simorgh_shared.queue.submit import NewJob
from simorgh_shared.schemas.evaluation import SpeechEvaluation
from simorgh_shared.storage.blobs import StoredBlob
from simorgh_shared.worker.attempt import until_stored
from simorgh_shared.worker.kinds import Claimed
from simorgh_voice.attempt import Workplace
from simorgh_voice.evaluation_report import Part, Report

REPORT, SAMPLES = "report.json", "samples.jsonl"
_OWN = ("models",)
_REASON_CHARS = 500


@dataclass(frozen=True)
class Evaluation:
    """How attempts of an evaluation are run: the first makes the jobs, the last one reads what they said."""

    workplace: Workplace

    def run(self, claimed: Claimed) -> None:
        """Run one attempt in the worker's own process; the work is its children's."""
        lease, ledger = claimed.lease, claimed.ledger
        with ledger.sessions() as session:
            parts = _parts(session, lease)
            created_by = session.scalar(sa.select(Job.created_by).where(Job.id == lease.job_id))
        if not parts:
            new = _children(lease, created_by)
            ledger.finish(lambda session: parents.wait_for(session, lease, new))
            return
        if not any(part.has_succeeded for part in parts):
            reason = parts[0].error or f"{parts[0].name} was {parts[0].status}"
            ledger.fail(lease, "evaluation_failed", {"reason": reason[:_REASON_CHARS]})
            return
        folder = self.workplace.work_dir / lease.job_id / str(lease.attempt)
        folder.mkdir(parents=True)
        try:
            self._end(claimed, folder, parts, created_by)
        finally:
            shutil.rmtree(folder.parent, ignore_errors=True)

    def _end(self, claimed: Claimed, folder: Path, parts: Sequence[Part], created_by: str | None) -> None:
        lease, ledger = claimed.lease, claimed.ledger

        def check() -> None:
            if claimed.heart.lost:
                raise LeaseLostError(lease.job_id)

        report = Report(ledger.sessions, lease, parts).write(folder / SAMPLES, check, datetime.now(UTC))
        (folder / REPORT).write_text(report.model_dump_json(), encoding="utf-8")
        stored = {name: self._stored(claimed, folder / name) for name in (REPORT, SAMPLES)}
        ledger.finish(
            lambda session: endings.succeed(
                session, lease, _summary(report), lambda session: _keep(session, lease, stored, created_by)
            )
        )

    def _stored(self, claimed: Claimed, path: Path) -> StoredBlob:
        ledger, store = claimed.ledger, self.workplace.store
        return until_stored(lambda: store.put(ledger.sessions, path), claimed)


def _parts(session: Session, lease: Lease) -> list[Part]:
    """The jobs that were made, in the order of the models."""
    rows = session.scalars(sa.select(Job).where(Job.parent_id == lease.job_id))
    found = {row.spec["model_version_id"]: row for row in rows}
    parts = []
    for model in lease.spec["models"]:
        if (row := found.get(model["model_version_id"])) is not None:
            error = (row.error or {}).get("message")
            parts.append(Part(row.id, model["model_version_id"], model["name"], row.status, error))
    return parts


def _children(lease: Lease, created_by: str | None) -> list[NewJob]:
    shared = {name: value for name, value in lease.spec.items() if name not in _OWN}
    return [
        NewJob(
            lease.project_id,
            JobType.HEAR_CLIPS,
            Queue(lease.queue),
            shared | {"model_version_id": model["model_version_id"], "model_name": model["name"]},
            created_by=created_by,
            name=f"{model['name']} hears {lease.spec['dataset_name']}",
            lane=Lane.LONG,
        )
        for model in lease.spec["models"]
    ]


def _keep(session: Session, lease: Lease, stored: dict[str, StoredBlob], created_by: str | None) -> dict[str, Any]:
    """Insert the files of the report."""
    ids = {}
    for name, blob in stored.items():
        ids[name] = new_id("file")
        session.add(
            File(
                id=ids[name],
                project_id=lease.project_id,
                purpose="evaluation",
                name=name,
                sha256=blob.sha256,
                bytes=blob.bytes,
                created_by=created_by,
            )
        )
    return {"report_file_id": ids[REPORT], "samples_file_id": ids[SAMPLES]}


def _summary(report: SpeechEvaluation) -> dict[str, Any]:
    """What stands in the job's result: a line for each model."""
    models = [
        {
            "model_version_id": one.model_version_id,
            "name": one.name,
            "job_id": one.job_id,
            "status": one.status,
            "num_samples": one.num_samples,
            "num_unreadable": one.num_unreadable,
            "wer": one.normalised.words.rate if one.normalised else None,
            "cer": one.normalised.characters.rate if one.normalised else None,
            "plain_wer": one.plain.words.rate if one.plain else None,
            "plain_cer": one.plain.characters.rate if one.plain else None,
            "real_time_factor": one.real_time_factor,
        }
        for one in report.models
    ]
    return {"num_rows": report.num_rows, "rules": report.rules, "models": models}
