"""Makes one report of what several models heard, row by row, so that memory does not grow with the dataset."""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.db.models import JobEvent
from simorgh_shared.domain.jobs import JobStatus
from simorgh_shared.persian.scored_text import ScoredForm
from simorgh_shared.persian.scoring import counted, rules
from simorgh_shared.queue.leases import Lease
from simorgh_shared.schemas.evaluation import (
    MAX_SHOWN,
    AlignedWordView,
    ErrorCountsView,
    EvaluatedModelView,
    FormScoreView,
    FormTotalsView,
    HeardView,
    SampleView,
    SpeechEvaluation,
    UnreadableView,
)

_PAGE_ROWS = 200
_UNITS = ("words", "characters")
_FORMS = (ScoredForm.PLAIN, ScoredForm.NORMALISED)
Payload = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """A model of the evaluation, and the job in which it heard."""

    job_id: str
    model_version_id: str
    name: str
    status: str
    error: str | None

    @property
    def has_succeeded(self) -> bool:
        """Whether it has heard all."""
        return self.status == JobStatus.SUCCEEDED


@dataclass
class _Totals:
    """One model's sums."""

    num_samples: int = 0
    num_unreadable: int = 0
    audio_s: float = 0.0
    seconds: float = 0.0
    counts: dict[tuple[ScoredForm, str], list[int]] = field(
        default_factory=lambda: {(form, unit): [0, 0, 0, 0] for form in _FORMS for unit in _UNITS}
    )

    def add(self, heard: Payload) -> None:
        if "error" in heard:
            self.num_unreadable += 1
            return
        self.num_samples += 1
        self.audio_s += heard["audio_s"]
        self.seconds += heard["seconds"]
        for (form, unit), sums in self.counts.items():
            for place, number in enumerate(heard["scores"][form][unit]):
                sums[place] += number

    def form(self, form: ScoredForm) -> FormTotalsView | None:
        if not self.num_samples:
            return None
        words, characters = (_counts(self.counts[form, unit]) for unit in _UNITS)
        return FormTotalsView(words=words, characters=characters)


class Report:
    """The report of an evaluation whose parts have ended."""

    def __init__(self, sessions: sessionmaker[Session], lease: Lease, parts: Sequence[Part]) -> None:
        self._sessions = sessions
        self._lease = lease
        self._parts = parts
        self._heard = [part for part in parts if part.has_succeeded]
        self._totals = {part.job_id: _Totals() for part in parts}
        self._unreadable: list[UnreadableView] = []

    def write(self, samples: Path, check: Callable[[], None], made_at: datetime) -> SpeechEvaluation:
        """Write all samples into a file, a line each, and return the report. `check` may raise, between rows."""
        worst: list[tuple[int, int, SampleView]] = []
        num_rows = 0
        with samples.open("w", encoding="utf-8") as file:
            for row in zip(*(self._events(part.job_id) for part in self._heard), strict=True):
                check()
                num_rows += 1
                sample = self._sample(row)
                file.write(sample.model_dump_json() + "\n")
                if all(one.hypothesis is None for one in sample.heard):
                    continue
                place = (_num_errors(sample), -sample.row, sample)  # rows differ: two samples are never compared
                if len(worst) < MAX_SHOWN:
                    heapq.heappush(worst, place)
                else:
                    heapq.heappushpop(worst, place)
        spec = self._lease.spec
        return SpeechEvaluation(
            job_id=self._lease.job_id,
            name=spec["name"],
            dataset_id=spec["dataset_id"],
            dataset_name=spec["dataset_name"],
            dataset_version_id=spec["dataset_version_id"],
            version=spec["version"],
            split=spec["split"],
            num_rows=num_rows,
            language=spec["language"],
            rules=rules(),
            made_at=made_at,
            models=[self._model(part) for part in self._parts],
            samples=[sample for _, _, sample in sorted(worst, key=lambda one: one[:2], reverse=True)],
            unreadable=self._unreadable,
        )

    def _events(self, job_id: str) -> Iterator[Payload]:
        """What a model heard, in the order of the rows; no session is open between pages."""
        after = 0
        while True:
            query = sa.select(JobEvent.seq, JobEvent.payload).where(
                JobEvent.job_id == job_id, JobEvent.type == "heard", JobEvent.seq > after
            )
            with self._sessions() as session:
                page = session.execute(query.order_by(JobEvent.seq).limit(_PAGE_ROWS)).all()
            for row in page:
                yield row.payload
            if len(page) < _PAGE_ROWS:
                return
            after = page[-1].seq

    def _sample(self, row: Sequence[Payload]) -> SampleView:
        first = row[0]
        heard = []
        for part, one in zip(self._heard, row, strict=True):
            assert one["row"] == first["row"], "each model hears each row once, in their order"
            self._totals[part.job_id].add(one)
            heard.append(_heard(part, one))
            if "error" in one and len(self._unreadable) < MAX_SHOWN:
                self._unreadable.append(
                    UnreadableView(
                        row=one["row"],
                        file_name=one["file_name"],
                        model_version_id=part.model_version_id,
                        reason=one["error"]["message"],
                    )
                )
        return SampleView(
            row=first["row"],
            file_name=first["file_name"],
            clip=first["clip"],
            reference=first["reference"],
            heard=heard,
        )

    def _model(self, part: Part) -> EvaluatedModelView:
        totals = self._totals[part.job_id]
        return EvaluatedModelView(
            model_version_id=part.model_version_id,
            name=part.name,
            job_id=part.job_id,
            status=part.status,
            error=part.error,
            num_samples=totals.num_samples,
            num_unreadable=totals.num_unreadable,
            audio_s=round(totals.audio_s, 3),
            seconds=round(totals.seconds, 3),
            real_time_factor=round(totals.seconds / totals.audio_s, 4) if totals.audio_s else None,
            plain=totals.form(ScoredForm.PLAIN),
            normalised=totals.form(ScoredForm.NORMALISED),
        )


def _heard(part: Part, told: Payload) -> HeardView:
    scores = told.get("scores")
    return HeardView(
        model_version_id=part.model_version_id,
        hypothesis=told.get("hypothesis"),
        language=told.get("language"),
        seconds=told.get("seconds"),
        plain=_score(scores[ScoredForm.PLAIN]) if scores else None,
        normalised=_score(scores[ScoredForm.NORMALISED]) if scores else None,
    )


def _score(told: Payload) -> FormScoreView:
    return FormScoreView(
        words=_counts(told["words"]),
        characters=_counts(told["characters"]),
        alignment=[
            AlignedWordView(edit=edit, reference=reference, hypothesis=hypothesis)
            for edit, reference, hypothesis in told["alignment"]
        ],
    )


def _counts(numbers: Sequence[int]) -> ErrorCountsView:
    return ErrorCountsView.model_validate(counted(*numbers))


def _num_errors(sample: SampleView) -> int:
    """Wrong words of all models together, by the form that forgives the script."""
    counts = [one.normalised.words for one in sample.heard if one.normalised is not None]
    return sum(one.substitutions + one.deletions + one.insertions for one in counts)
