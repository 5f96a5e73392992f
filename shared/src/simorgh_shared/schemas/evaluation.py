"""Models compared by what they hear in an audio set: what is asked for, and the report (R-VOICE-5)."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from simorgh_shared.schemas.envelope import RequestBody
from simorgh_shared.schemas.jobs import JobView

MAX_MODELS = 8
MAX_ROWS = 20_000
"""Each row is an event of each model's job."""
MAX_SHOWN = 200
"""Samples of a report; a file holds them all."""
SplitOfClips = Literal["train", "test"]
Edit = Literal["equal", "substitution", "deletion", "insertion"]


class EvaluationBody(RequestBody):
    """Which models are to hear which clips."""

    dataset_id: str = Field(min_length=1, max_length=100)
    version: int | None = Field(None, ge=1, lt=2**31)
    """Which version of the dataset; else the newest."""
    split: SplitOfClips | None = None
    """Default: `test` where there is one, else `train`."""
    models: list[Annotated[str, Field(min_length=1, max_length=300)]] | None = Field(
        None, min_length=1, max_length=MAX_MODELS
    )
    """Names or ids. Default: all models of the project that transcribe the language."""
    language: str | None = Field(None, max_length=60)
    """What is spoken, for all clips. Default: each model tells it by itself, clip by clip."""
    limit: int | None = Field(None, ge=1, le=MAX_ROWS)
    """How many rows, from the first on. Default: all."""


class _View(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True, from_attributes=True)


class ErrorCountsView(_View):
    """What became of the words or characters of the texts, and what was added."""

    num_reference: int
    hits: int
    substitutions: int
    deletions: int
    insertions: int
    rate: float
    """Errors for each item of the texts; may pass 1."""


class FormTotalsView(_View):
    """Counts of all samples together."""

    words: ErrorCountsView
    """Their rate is the word error rate."""
    characters: ErrorCountsView
    """Their rate is the character error rate."""


class AlignedWordView(_View):
    """One step from the text to what was heard."""

    edit: Edit
    reference: str | None
    """Null for an insertion."""
    hypothesis: str | None
    """Null for a deletion."""


class FormScoreView(FormTotalsView):
    """Scores of one sample."""

    alignment: list[AlignedWordView]


class HeardView(_View):
    """What one model heard in a clip."""

    model_version_id: str
    hypothesis: str | None
    """Null where the clip could not be heard."""
    language: str | None
    seconds: float | None
    plain: FormScoreView | None
    """Every difference but blanks is an error."""
    normalised: FormScoreView | None
    """None of ZWNJ, ye and kaf, digits of other scripts, diacritics, punctuation and case."""


class SampleView(_View):
    """A clip with its text, and what each model heard in it."""

    row: int
    """From 0, as in the preview of the dataset."""
    file_name: str
    clip: str
    reference: str
    heard: list[HeardView]


class UnreadableView(_View):
    """A clip that could not be heard or scored."""

    row: int
    file_name: str
    model_version_id: str
    reason: str


class EvaluatedModelView(_View):
    """One model's results."""

    model_version_id: str
    name: str
    job_id: str
    status: str
    error: str | None
    """Why it has no scores."""
    num_samples: int
    """Clips that were heard and scored."""
    num_unreadable: int
    audio_s: float
    seconds: float
    real_time_factor: float | None
    """Seconds of work for a second of audio; null where none was heard."""
    plain: FormTotalsView | None
    normalised: FormTotalsView | None


class SpeechEvaluation(_View):
    """The report: models side by side."""

    job_id: str
    name: str
    dataset_id: str
    dataset_name: str
    dataset_version_id: str
    version: int
    split: SplitOfClips
    num_rows: int
    language: str | None
    rules: str
    """By which texts were compared: scores of the same rules may be compared."""
    made_at: datetime
    models: list[EvaluatedModelView]
    samples: list[SampleView]
    """Those with the most errors first; all of them where there are few."""
    unreadable: list[UnreadableView]
    """The first of them."""


class EvaluationPart(_View):
    """How far one model is."""

    job_id: str
    model_version_id: str
    name: str
    status: str
    progress: dict[str, Any]
    error: dict[str, Any] | None


class EvaluationView(_View):
    """An evaluation, and its report once it is there."""

    job: JobView
    is_complete: bool
    """False while something may come."""
    models: list[EvaluationPart]
    report: SpeechEvaluation | None
