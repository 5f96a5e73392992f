"""The parameters of a run, their two spellings and their refusals; the learning rate they give."""

from typing import Any

import pytest
from pydantic import ValidationError

from simorgh_shared.schemas.training import PRESETS, SMALLEST_PRESET, TrainSpec
from simorgh_trainer.training.model import Llama, ModelShape
from simorgh_trainer.training.optim import learning_rate


class TestTrainSpec:
    def test_defaults(self) -> None:
        """R-TRAIN-2."""
        spec = TrainSpec()
        assert (spec.epochs, spec.batch_size, spec.learning_rate) == (3, 4, 5e-5)
        assert (spec.logging_steps, spec.save_steps, spec.checkpoints_kept) == (10, 100, 3)
        assert spec.model == SMALLEST_PRESET

    def test_both_spellings(self) -> None:
        """R-TRAIN-1: the names that existing frontends send."""
        body = {"modelName": "simorgh-4m", "datasetId": "ds_1", "batchSize": 2, "learning_rate": 0.1}
        spec = TrainSpec.model_validate(body)
        assert (spec.model, spec.dataset, spec.batch_size, spec.learning_rate) == ("simorgh-4m", "ds_1", 2, 0.1)
        assert TrainSpec.model_validate(spec.model_dump(mode="json")) == spec

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({"learningRate": -1}, "greater than 0"),
            ({"learning_rate": float("nan")}, "finite number"),
            ({"batch_size": 0}, "greater than or equal to 1"),
            ({"epoch": 3}, "Extra inputs are not permitted"),
            ({"method": "dpo"}, "'pretrain'"),
            ({"loraRank": 4}, "lora_rank is a parameter of method lora, the method is pretrain"),
            ({"method": "lora"}, "method lora tunes a trained model, and simorgh-2m is a preset"),
            ({"method": "lora", "model": "m", "lora_targets": ["q_proj", "q_proj"]}, "names a layer twice"),
            ({"method": "lora", "model": "m", "lora_targets": ["lm_head"]}, "'q_proj'"),
            ({"gradient_checkpointing": True}, "not available yet"),
            ({"num_gpus": 2}, "more than one GPU is not available yet"),
            ({"num_gpus": 1, "device": "cpu"}, "device is cpu"),
            ({"batchSize": 2, "batch_size": 3}, "batchSize and batch_size are the same parameter"),
            ({"warmup_steps": 3, "warmup_ratio": 0.1}, "exclude each other"),
            ({"dropout": 1}, "less than 1"),
            ({"tags": [" "]}, "at least 1 character"),
        ],
    )
    def test_refusals_say_why(self, body: dict[str, Any], said: str) -> None:
        with pytest.raises(ValidationError, match=said):
            TrainSpec.model_validate(body)


class TestPresets:
    @pytest.mark.parametrize(("name", "millions"), [(name, int(name[8:-1])) for name in PRESETS])
    def test_named_by_their_size(self, name: str, millions: int) -> None:
        preset = PRESETS[name]
        assert abs(preset.num_parameters() / 1e6 - millions) < 0.35
        if millions < 5:
            model = Llama(ModelShape.from_preset(preset, preset.vocab_size, 8))
            assert sum(parameter.numel() for parameter in model.parameters()) == preset.num_parameters()


class TestLearningRate:
    def test_rises_then_falls(self) -> None:
        spec = TrainSpec(learning_rate=1.0, warmup_steps=10)
        rates = [learning_rate(spec, step, 100, 0.0) for step in range(100)]
        assert rates[:10] == sorted(rates[:10])
        assert rates[10] == 1.0
        assert rates[10:] == sorted(rates[10:], reverse=True)
        assert 0.02 <= rates[-1] < 0.03

    @pytest.mark.parametrize(("schedule", "middle"), [("cosine", 0.51), ("linear", 0.51), ("constant", 1.0)])
    def test_schedules(self, schedule: str, middle: float) -> None:
        spec = TrainSpec.model_validate({"learning_rate": 1.0, "warmup_steps": 0, "schedule": schedule})
        assert abs(learning_rate(spec, 50, 100, 0.0) - middle) < 1e-9

    def test_follows_the_clock_only_where_that_is_ahead(self) -> None:
        spec = TrainSpec(learning_rate=1.0, warmup_steps=0, max_minutes=1)
        assert learning_rate(spec, 50, 100, 20.0) == learning_rate(spec, 50, 100, 0.0)
        assert learning_rate(spec, 50, 100, 45.0) == learning_rate(spec, 75, 100, 0.0)
