"""What a training run has brought: its figures beside a yardstick, and answers before and after (R-TRAIN-4)."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases import jobs
from simorgh_shared.db.models import JobEvent, Metric
from simorgh_shared.domain.jobs import JobType
from simorgh_shared.schemas.reports import AnswerView, TrainingReport

_PER_CHAR = "eval_loss_per_char"


def training(session: Session, project_id: str, job_id: str) -> TrainingReport:
    """The report of a run, as far as the run has come.

    Raises: NotFoundError.
    """
    job = jobs.job(session, project_id, job_id, JobType.TRAIN)
    figures: dict[str, Any] = (job.result or {}).get("metrics") or {}
    losses = [loss for _, loss in curve(session, job_id)]
    first = losses[0] if losses else None
    last = losses[-1] if losses else None
    return TrainingReport(
        job_id=job.id,
        name=job.name,
        status=job.status,
        model=job.spec["model"],
        method=job.spec["method"],
        dataset_version_id=job.spec.get("dataset_version_id"),
        first_loss_per_char=first,
        last_loss_per_char=last,
        lowest_loss_per_char=min(losses, default=None),
        lowest_step=figures.get("lowest_eval_step"),
        lowered_by=1 - last / first if first and last is not None else None,
        trigram_loss_per_char=figures.get("trigram_loss_per_char"),
        steps=job.step,
        trained_tokens=figures.get("trained_tokens"),
        training_seconds=figures.get("training_seconds"),
        num_parameters=figures.get("num_parameters"),
        num_trained_parameters=figures.get("num_trained_parameters"),
        answers=_answers(session, job_id),
    )


def curve(session: Session, job_id: str) -> list[tuple[int, float]]:
    """Step and held-out loss a character. The caller has checked that the job is the project's."""
    query = sa.select(Metric.step, Metric.value).where(Metric.job_id == job_id, Metric.name == _PER_CHAR)
    return [(row.step, row.value) for row in session.execute(query.order_by(Metric.step))]


def _answers(session: Session, job_id: str) -> list[AnswerView]:
    """The prompts in the run's order; of an attempt that began again the newer answers count."""
    query = sa.select(JobEvent.payload).where(JobEvent.job_id == job_id, JobEvent.type == "answers")
    found: dict[str, AnswerView] = {}
    for payload in session.scalars(query.order_by(JobEvent.seq)):
        for told in payload["answers"]:
            view = found.setdefault(
                told["prompt"],
                AnswerView(prompt=told["prompt"], expected=told["expected"], before=None, after=None),
            )
            setattr(view, payload["when"], told["answer"])
    return list(found.values())
