"""What a training run takes: its parameters with their bounds, and the preset model sizes.

Pydantic and the standard library only: the gateway checks a request with it, the child trains by it.
A field is here when it works. What is planned and does not work yet is refused by name, with the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AliasChoices, AliasGenerator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel


@dataclass(frozen=True)
class ModelPreset:
    """The shape of a Llama that is trained from scratch."""

    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    intermediate_size: int
    vocab_size: int
    """At most so many tokens; a small dataset may give fewer."""

    def num_parameters(self, vocab_size: int | None = None) -> int:
        """Parameters with tied embeddings, at the preset's vocabulary or a given one."""
        head_size = self.hidden_size // self.num_heads
        attention = 2 * self.hidden_size * (self.num_heads + self.num_kv_heads) * head_size
        feed_forward = 3 * self.hidden_size * self.intermediate_size
        norms = 2 * self.hidden_size
        embeddings = (self.vocab_size if vocab_size is None else vocab_size) * self.hidden_size
        return embeddings + self.num_layers * (attention + feed_forward + norms) + self.hidden_size


PRESETS: Mapping[str, ModelPreset] = {
    "simorgh-2m": ModelPreset(192, 4, 4, 4, 512, 2_048),
    "simorgh-4m": ModelPreset(256, 4, 4, 4, 688, 2_048),
    "simorgh-14m": ModelPreset(384, 6, 6, 6, 1_024, 8_192),
    "simorgh-34m": ModelPreset(512, 8, 8, 8, 1_376, 16_384),
}
SMALLEST_PRESET = "simorgh-2m"


class Method(StrEnum):
    """How a model is trained; the list holds what works."""

    PRETRAIN = "pretrain"
    """Every character is learnt: from scratch with a preset, or further with a model."""
    SFT = "sft"
    """A model learns the answers alone, all of its weights."""
    LORA = "lora"
    """A model learns the answers alone in a small adapter; its own weights stay as they are."""


class Schedule(StrEnum):
    """How the learning rate goes after the warm-up."""

    COSINE = "cosine"
    LINEAR = "linear"
    CONSTANT = "constant"


class Precision(StrEnum):
    """What the products are computed in; `auto` takes bf16 where the processor has it."""

    AUTO = "auto"
    BF16 = "bf16"
    FP32 = "fp32"


class Device(StrEnum):
    """Where the run computes."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


class OnLeakage(StrEnum):
    """What becomes of a run whose test split stands in its train split."""

    WARN = "warn"
    REFUSE = "refuse"


class Keep(StrEnum):
    """Which weights become the model."""

    LAST = "last"
    BEST = "best"
    """Those of the lowest held-out loss."""


_NOT_YET = {
    "gradient_checkpointing": "gradient checkpointing is not available yet",
}

LoraTarget = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LORA_TARGETS: tuple[LoraTarget, ...] = get_args(LoraTarget)
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class TrainSpec(BaseModel):
    """The parameters of a training run (R-TRAIN-2); snake_case, and camelCase is taken too."""

    model_config = ConfigDict(
        extra="forbid",
        alias_generator=AliasGenerator(validation_alias=lambda name: AliasChoices(to_camel(name), name)),
        allow_inf_nan=False,
        frozen=True,
    )

    model: str = Field(
        SMALLEST_PRESET,
        min_length=1,
        max_length=200,
        validation_alias=AliasChoices("modelName", "model", "model_name"),
    )
    """A preset name (trained from scratch) or the id of a model (trained further)."""
    dataset: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        validation_alias=AliasChoices("datasetId", "dataset", "dataset_id"),
    )
    """The dataset's id; without it the sample dataset is used."""
    method: Method = Method.PRETRAIN
    epochs: float = Field(3, gt=0, le=10_000)
    max_steps: int | None = Field(None, ge=1, le=100_000_000)
    """End after so many optimiser steps, whatever `epochs` says."""
    max_minutes: float | None = Field(None, gt=0, le=525_600)
    """End after so much training time (summed over attempts; time between them does not count). Where the
    machine is too slow for all steps, the schedule anneals by time instead, so that the run ends well trained.
    A run that a time budget shapes or ends is the one kind that cannot be repeated bit for bit."""
    batch_size: int = Field(4, ge=1, le=65_536)
    """Rows a step and accumulation; with packing a row holds several samples."""
    gradient_accumulation: int = Field(1, ge=1, le=65_536)
    learning_rate: float = Field(5e-5, gt=0, le=1)
    schedule: Schedule = Schedule.COSINE
    warmup_steps: int | None = Field(None, ge=0, le=100_000_000)
    warmup_ratio: float | None = Field(None, ge=0, lt=1)
    """Share of all steps; 0.05 where neither it nor `warmup_steps` is given."""
    weight_decay: float = Field(0.01, ge=0, le=10)
    gradient_clipping: float | None = Field(1.0, gt=0, le=1e6)
    """Largest norm of the gradient; null leaves it alone."""
    sequence_length: int = Field(256, ge=16, le=8_192)
    """Tokens in a row. A longer sample is cut into pieces of this length."""
    packing: bool = True
    """Fill rows with several samples that do not see each other; without it a row is one sample, padded."""
    normalise: bool = False
    """Bring Persian text to one spelling first (R-FA-1). The rules' version and options stand in the lineage."""
    on_leakage: OnLeakage = OnLeakage.WARN
    """Where test rows share a sentence with train rows, after normalisation: say so, or refuse the run (R-DATA-6)."""
    precision: Precision = Precision.AUTO
    seed: int = Field(42, ge=0, lt=2**63)
    logging_steps: int = Field(10, ge=1, le=1_000_000)
    save_steps: int = Field(100, ge=1, le=100_000_000)
    eval_steps: int = Field(100, ge=1, le=100_000_000)
    eval_fraction: float = Field(0.05, ge=0, le=0.5)
    """Share of the rows that is held out where the dataset has no test split; 0 trains on all of them."""
    checkpoints_kept: int = Field(3, ge=1, le=1_000)
    early_stopping_patience: int | None = Field(None, ge=1, le=1_000_000)
    """End after so many held-out losses in a row without a new lowest one."""
    dropout: float = Field(0.0, ge=0, lt=1)
    lora_rank: int = Field(8, ge=1, le=1_024)
    """Of method `lora`: columns of the adapter's matrices."""
    lora_alpha: float = Field(16, gt=0, le=10_000)
    """The adapter's weight is `lora_alpha / lora_rank`."""
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    lora_targets: list[LoraTarget] = Field(default_factory=lambda: list(LORA_TARGETS), min_length=1, max_length=7)
    """The layers that get an adapter, by Hugging Face's names; default: all of a Llama's."""
    vocab_size: int | None = Field(None, ge=300, le=262_144)
    """At most so many tokens (256 bytes and the special tokens come first); default: the preset's."""
    threads: int | None = Field(None, ge=1, le=1_024)
    """Default: as many as the worker may use."""
    keep: Keep = Keep.LAST
    device: Device = Device.AUTO
    num_gpus: int | None = Field(None, ge=0)
    priority: int = Field(0, ge=-100, le=100)
    name: str | None = Field(None, min_length=1, max_length=200)
    tags: list[Tag] = Field(default_factory=list, max_length=32)
    experiment: str | None = Field(None, min_length=1, max_length=200)

    @model_validator(mode="before")
    @classmethod
    def _refuse_what_would_be_ignored(cls, body: Any) -> Any:
        if not isinstance(body, Mapping):
            return body
        given: dict[str, str] = {}
        for key in map(str, body):
            field = _FIELD_OF_KEY.get(key, key)
            if field in _NOT_YET:
                raise ValueError(f"{key}: {_NOT_YET[field]}")
            if field in given:
                raise ValueError(f"{given[field]} and {key} are the same parameter: give one of them")
            given[field] = key
        return body

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.warmup_steps is not None and self.warmup_ratio is not None:
            raise ValueError("warmup_steps and warmup_ratio exclude each other: give one of them")
        if self.method in (Method.SFT, Method.LORA) and self._begins_from_nothing():
            raise ValueError(
                f"method {self.method} tunes a trained model, and {self.model} is a preset that begins from nothing:"
                " name a model, or use method pretrain"
            )
        for name in ("lora_rank", "lora_alpha", "lora_dropout", "lora_targets"):
            field = type(self).model_fields[name]
            if self.method is not Method.LORA and getattr(self, name) != field.get_default(call_default_factory=True):
                raise ValueError(f"{name} is a parameter of method lora, the method is {self.method}")
        if len(set(self.lora_targets)) != len(self.lora_targets):
            raise ValueError("lora_targets names a layer twice")
        if self.vocab_size is not None and self.preset is None:
            raise ValueError(f"vocab_size: {self.model} brings its own tokenizer, leave it out")
        if self.num_gpus is not None and self.num_gpus > 1:
            raise ValueError("num_gpus: training on more than one GPU is not available yet")
        if self.num_gpus == 0 and self.device is Device.GPU:
            raise ValueError("num_gpus is 0 but device is gpu")
        if self.num_gpus == 1 and self.device is Device.CPU:
            raise ValueError("num_gpus is 1 but device is cpu")
        return self

    @property
    def preset(self) -> ModelPreset | None:
        """The preset that `model` names, if it names one."""
        return PRESETS.get(self.model)

    def _begins_from_nothing(self) -> bool:
        return self.preset is not None

    def num_warmup_steps(self, total_steps: int) -> int:
        """Steps until the learning rate is reached."""
        if self.warmup_steps is not None:
            return min(self.warmup_steps, total_steps)
        ratio = 0.05 if self.warmup_ratio is None else self.warmup_ratio
        return int(ratio * total_steps)


_FIELD_OF_KEY = (
    {to_camel(field): field for field in (*TrainSpec.model_fields, *_NOT_YET)}
    | {
        "modelName": "model",
        "model_name": "model",
        "datasetId": "dataset",
        "dataset_id": "dataset",
    }
    | dict.fromkeys(("initCheckpointId", "initCheckpoint", "init_checkpoint"), "init_checkpoint_id")
)
