"""What an evaluation of speech models found (R-VOICE-5): each sample as each model heard it, and totals side by side.

The standard library and msgspec alone; it judges transcripts and makes none.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec

from simorgh_shared.persian.edit_distance import Edit
from simorgh_shared.persian.scored_text import ScoredForm
from simorgh_shared.persian.scoring import FORMS, FormScore, FormTotals, rules, score_sample, summed

MOST_CONFUSIONS = 15


class Subject(msgspec.Struct, frozen=True):
    """On what models were tried."""

    dataset: str
    dataset_version: int
    split: str
    language: str
    made_at: datetime


class Heard(msgspec.Struct, frozen=True):
    """One sample as one model heard it."""

    transcript: str
    seconds: float
    """Of computing."""
    scores: dict[ScoredForm, FormScore]
    error: str | None = None
    """The code of what kept the model from a transcript; it is then scored as if nothing had been heard."""


class EvaluatedSample(msgspec.Struct, frozen=True):
    """One row of the dataset; `heard` has the report's models in their order."""

    row: int
    reference: str
    duration_s: float
    heard: list[Heard]


class TriedModel(msgspec.Struct, frozen=True):
    """A model by the name that people know and the version that was run."""

    name: str
    version_id: str | None


class Confusion(msgspec.Struct, frozen=True):
    """A word that was heard as another, and how often."""

    said: str
    heard: str
    count: int


class EvaluatedModel(msgspec.Struct, frozen=True):
    """One model over all samples."""

    name: str
    version_id: str | None
    totals: dict[ScoredForm, FormTotals]
    num_failed: int
    seconds: float
    real_time_factor: float | None
    """Seconds of computing for each second of audio; None without audio."""
    confusions: list[Confusion]


class SpeechEvaluation(msgspec.Struct, frozen=True):
    """The report; its JSON is what the API gives and the page shows."""

    subject: Subject
    rules: str
    """Scores of two reports may be compared where these are the same."""
    num_samples: int
    audio_s: float
    models: list[EvaluatedModel]
    samples: list[EvaluatedSample]


def judge(reference: str, transcript: str, seconds: float) -> Heard:
    """A transcript with its scores."""
    return Heard(transcript, seconds, score_sample(reference, transcript, FORMS).forms)


def judge_failure(reference: str, code: str, seconds: float) -> Heard:
    """A sample that a model gave no transcript of: every word of the reference counts as deleted."""
    return Heard("", seconds, score_sample(reference, "", FORMS).forms, error=code)


def report(subject: Subject, tried: Sequence[TriedModel], samples: Sequence[EvaluatedSample]) -> SpeechEvaluation:
    """Totals of all models over the same samples."""
    if any(len(sample.heard) != len(tried) for sample in samples):
        raise ValueError("each sample must have been heard by each model")
    audio_s = sum(sample.duration_s for sample in samples)
    models = [
        _evaluated(model, [sample.heard[place] for sample in samples], audio_s) for place, model in enumerate(tried)
    ]
    return SpeechEvaluation(subject, rules(), len(samples), audio_s, models, list(samples))


def worst_first(found: SpeechEvaluation) -> list[EvaluatedSample]:
    """Samples by their normalised word error rate, mean over the models; of equals the earlier row first."""

    def badness(sample: EvaluatedSample) -> tuple[float, int]:
        rates = [heard.scores[ScoredForm.NORMALISED].words.rate for heard in sample.heard]
        return -sum(rates) / max(1, len(rates)), sample.row

    return sorted(found.samples, key=badness)


def _evaluated(model: TriedModel, heard: list[Heard], audio_s: float) -> EvaluatedModel:
    seconds = sum(one.seconds for one in heard)
    return EvaluatedModel(
        name=model.name,
        version_id=model.version_id,
        totals={
            form: FormTotals(
                words=summed([one.scores[form].words for one in heard]),
                characters=summed([one.scores[form].characters for one in heard]),
            )
            for form in FORMS
        },
        num_failed=sum(one.error is not None for one in heard),
        seconds=seconds,
        real_time_factor=seconds / audio_s if audio_s else None,
        confusions=_confusions(heard),
    )


def _confusions(heard: list[Heard]) -> list[Confusion]:
    pairs = Counter(
        (step.reference or "", step.hypothesis or "")
        for one in heard
        for step in one.scores[ScoredForm.NORMALISED].alignment
        if step.edit is Edit.SUBSTITUTION
    )
    commonest = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_CONFUSIONS]
    return [Confusion(said, misheard, count) for (said, misheard), count in commonest]
