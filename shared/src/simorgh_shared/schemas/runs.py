"""Requests to train and runs as the API takes and shows them, in the words of both training families."""

from datetime import datetime
from typing import Any, Literal

from pydantic import AliasChoices, AliasGenerator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from simorgh_shared.schemas.jobs import LogPage, MetricsPoint
from simorgh_shared.schemas.training import SMALLEST_PRESET, TrainSpec


class StartBody(TrainSpec):
    """A request to train: the parameters, and where to start from. camelCase; snake_case is taken too."""

    init_checkpoint_id: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        validation_alias=AliasChoices("initCheckpointId", "init_checkpoint_id", "initCheckpoint", "init_checkpoint"),
    )
    """A checkpoint of an earlier run. Its model is the run's, and need not be named."""

    @property
    def spec(self) -> TrainSpec:
        """The parameters alone."""
        return TrainSpec.model_validate(self.model_dump(exclude={"init_checkpoint_id"}))

    @property
    def names_model(self) -> bool:
        """Whether a model was named: the default is none."""
        return "model" in self.model_fields_set

    def spec_with_model(self, model: str) -> TrainSpec:
        """The parameters alone, of this model."""
        return TrainSpec.model_validate(self.model_dump(exclude={"init_checkpoint_id"}) | {"model": model})

    def _begins_from_nothing(self) -> bool:
        return super()._begins_from_nothing() and (self.init_checkpoint_id is None or self.names_model)


class TrainingJobBody(StartBody):
    """The same in snake_case; camelCase is taken too."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(validation_alias=lambda name: AliasChoices(name, to_camel(name)))
    )

    model: str = Field(
        SMALLEST_PRESET,
        min_length=1,
        max_length=200,
        validation_alias=AliasChoices("model", "model_name", "modelName"),
    )
    dataset: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        validation_alias=AliasChoices("dataset", "dataset_id", "datasetId"),
    )
    init_checkpoint_id: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        validation_alias=AliasChoices("init_checkpoint_id", "initCheckpointId", "init_checkpoint", "initCheckpoint"),
    )


class RunView(BaseModel):
    """A training job in the words of /api/train."""

    runId: str
    phase: str
    """The job's status."""
    desiredState: str
    name: str
    step: int | None
    totalSteps: int | None
    progress: dict[str, Any]
    """The newest figures by name."""
    attempt: int
    device: Literal["cpu", "gpu"]
    """What it is queued for: `auto` goes to a GPU where a live worker has one."""
    checkpointId: str | None
    modelId: str | None
    modelName: str | None
    modelVersionId: str | None
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    createdAt: datetime
    startedAt: datetime | None
    finishedAt: datetime | None


class RunBody(BaseModel):
    """Which run; without it the newest active one."""

    model_config = ConfigDict(extra="forbid")
    run_id: str | None = Field(None, max_length=200, validation_alias=AliasChoices("runId", "run_id"))


class RunMetrics(BaseModel):
    """All logged steps of a run."""

    ok: Literal[True] = True
    data: list[MetricsPoint]
    runId: str


class RunLogs(LogPage):
    """What happened to a run."""

    runId: str
