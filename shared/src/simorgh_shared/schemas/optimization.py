"""What is asked of an optimisation, and what it has measured (R-OPT-1, R-OPT-2)."""

from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from simorgh_shared.schemas.envelope import RequestBody
from simorgh_shared.schemas.jobs import JobView

OptimizationMethod = Literal[
    "merge", "gguf", "onnx", "onnx-int8", "openvino-int8", "openvino-int4", "prune-magnitude", "prune-structured"
]


class GateBody(RequestBody):
    """What the optimised model must keep to be promoted. What is missed is told with the numbers."""

    max_perplexity_increase: float | None = Field(None, ge=0, allow_inf_nan=False)
    """A share of the perplexity before: 0.01 allows one hundredth more."""
    min_speedup: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Tokens a second after, divided by those before."""


class RecoveryBody(RequestBody):
    """Training that gives a pruned model back some of what it has lost."""

    dataset: str | None = Field(None, min_length=1, max_length=300)
    """What it learns from; else the rows that are not held out of the dataset that it is measured on."""
    steps: int = Field(ge=1, le=10_000)
    """Of 1,024 tokens each at most."""
    learning_rate: float = Field(1e-4, gt=0, le=0.1, allow_inf_nan=False)


class OptimizationBody(RequestBody):
    """Another form of a model."""

    model: str = Field(min_length=1, max_length=300)
    """A version's id, or a model's id or name (its newest version)."""
    method: OptimizationMethod
    precision: Literal["f16", "q8_0"] | None = None
    """Of `gguf` alone; f16 where it is left out."""
    sparsity: float | None = Field(None, gt=0, lt=1)
    """Of pruning alone: the share of each layer's weights that becomes zero, or of its neurons that go; 0.3 where it
    is left out."""
    head_sparsity: float | None = Field(None, gt=0, lt=1)
    """Of `prune-structured` alone: the share of groups of attention heads that go; none where it is left out."""
    recovery: RecoveryBody | None = None
    """Of pruning alone."""
    dataset: str | None = Field(None, min_length=1, max_length=300)
    """Whose held-out rows are measured; else those that the model was trained on, as far as its lineage knows."""
    rows: int = Field(200, ge=1, le=2_000)
    """So many held-out rows at most."""
    prompts: int = Field(100, ge=1, le=100)
    """So many of them are answered at most; fewer where the time is up."""
    max_tokens: int = Field(32, ge=2, le=256)
    """The length of each answer."""
    gate: GateBody = GateBody()
    name: str | None = Field(None, min_length=1, max_length=255)
    """What the new model is called; else the model's name and the method. One that is there gets its next version."""

    @model_validator(mode="after")
    def _settings_of_the_method(self) -> Self:
        """Raises: ValueError for a setting that the method would ignore."""
        if self.precision is not None and self.method != "gguf":
            raise ValueError(f"precision is a setting of gguf, and the method is {self.method}")
        if not self.method.startswith("prune-"):
            for name, value in (("sparsity", self.sparsity), ("recovery", self.recovery)):
                if value is not None:
                    raise ValueError(f"{name} is a setting of pruning, and the method is {self.method}")
        if self.head_sparsity is not None and self.method != "prune-structured":
            raise ValueError(f"head_sparsity is a setting of prune-structured, and the method is {self.method}")
        if self.gate.min_speedup is not None and self.method == "gguf":
            raise ValueError("no engine here runs gguf, so min_speedup cannot be judged")
        return self


class MeasuredView(BaseModel):
    """What was measured of one form of a model. What could not be measured is null, and `missing` says why."""

    runtime: str
    """What ran it."""
    bytes: int
    """Of the weights' files."""
    loss: float
    """Nats a token, on the held-out rows."""
    perplexity: float
    tokens_per_s: float | None
    """The median of the answers, after their first token; one request at a time."""
    first_token_ms: float | None
    """The median of the answers."""
    peak_memory_bytes: int | None
    """Of a process that does nothing but this, with all its libraries."""
    missing: dict[str, str] = {}


class HeldOutView(BaseModel):
    """What both were measured on."""

    dataset_version_id: str
    source: Literal["test split", "held out as in training", "a share of the rows", "all rows"]
    """`all rows`, where none could be held out: those that the model may have learnt are among them."""
    rows: int
    tokens: int
    """That a prediction was asked for."""


class AgreementView(BaseModel):
    """Greedy answers to the same prompts, up to the end or `max_tokens`."""

    prompts: int
    equal: int
    """Answers that are the same, token by token."""
    share: float
    equal_start: float
    """The share of the answers' tokens before the first that differs."""


class GateView(BaseModel):
    """What was asked for, and what came out."""

    max_perplexity_increase: float | None
    min_speedup: float | None
    perplexity_increase: float
    speedup: float | None
    passed: bool
    missed: list[str]
    """A sentence for each that was missed, with the numbers."""


class OptimizationReport(BaseModel):
    """Before and after, on the same data and machine."""

    method: OptimizationMethod
    settings: dict[str, Any]
    held_out: HeldOutView
    before: MeasuredView
    after: MeasuredView
    agreement: AgreementView
    gate: GateView
    check: dict[str, Any]
    """How the new files were compared with the model that they were made from, and what was found."""
    threads: int


class DifferenceView(BaseModel):
    """A figure of a report, and what measuring it again gave."""

    name: str
    """Such as `after.perplexity`."""
    reported: float
    found: float
    repeats: bool | None
    """Whether both are the same, within 1e-3 of the larger; null for times and memory, which are never the same."""


class OptimizationView(BaseModel):
    """An optimisation: its job, and once that has succeeded the report and the version that it made."""

    job: JobView
    model_id: str | None
    model_name: str | None
    model_version_id: str | None
    version: int | None
    promotable: bool | None
    """False where the gate was missed: such a version becomes nobody's champion."""
    report: OptimizationReport | None
    check_of: str | None = None
    """The optimisation whose report was measured again: then there is no new version."""
    differences: list[DifferenceView] | None = None
    """Of a check alone: the reported figures beside those that were found."""
