"""What a training run has brought, as the API shows it."""

from pydantic import BaseModel


class AnswerView(BaseModel):
    """A held-out prompt, and what the model answered greedily before and after."""

    prompt: str
    expected: str
    """The answer that stands in the dataset."""
    before: str | None
    """None for a model that began from nothing."""
    after: str | None
    """None while the run has not ended."""


class TrainingReport(BaseModel):
    """Figures are None where they were not measured. Losses are held-out nats a character, ends counted."""

    job_id: str
    name: str
    status: str
    model: str
    method: str
    dataset_version_id: str | None
    first_loss_per_char: float | None
    """Of a model that is trained further: before the first step. Else the first that was measured."""
    last_loss_per_char: float | None
    lowest_loss_per_char: float | None
    lowest_step: int | None
    lowered_by: float | None
    """Share of the first loss that the last one is lower by; negative where it rose."""
    trigram_loss_per_char: float | None
    """Of a character trigram model (Witten-Bell) of the same train rows: what a language model has to better."""
    steps: int | None
    trained_tokens: int | None
    training_seconds: float | None
    num_parameters: int | None
    num_trained_parameters: int | None
    answers: list[AnswerView]
