"""The training child on a GPU: it learns what it learns on a processor, and a resumed run equals the whole one."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.support.gpu import needs_gpu
from tests.trainer_worker.training.foreign import make_model
from tests.trainer_worker.training.test_child import RESUMED_SPEC, assert_equals_whole_run, last_checkpoint
from tests.trainer_worker.training.work_folder import (
    TINY_SPEC,
    losses,
    make_work_folder,
    of_type,
    read_events,
    run_child,
    start_child,
)

pytestmark = needs_gpu
TUNED = {"model": "a-base", "vocab_size": None, "device": "gpu"}
SPECS: dict[str, dict[str, Any]] = {
    "pretrain": RESUMED_SPEC | {"device": "gpu"},
    "not packed": RESUMED_SPEC | {"device": "gpu", "packing": False},
    "sft": RESUMED_SPEC | TUNED | {"method": "sft", "dropout": 0.0},
    "lora": RESUMED_SPEC | TUNED | {"method": "lora", "dropout": 0.0, "lora_dropout": 0.1, "lora_rank": 4},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("base") / "model")


def _folder(at: Path, spec: dict[str, Any], base: Path, **more: Any) -> Path:
    is_tuned = spec["model"] == "a-base"
    given = {name: value for name, value in spec.items() if value is not None}
    return make_work_folder(at, given, base_model=base if is_tuned else None, **more)


class TestResume:
    @pytest.mark.parametrize("name", SPECS)
    def test_killed_run_ends_with_the_same_bits(self, name: str, base: Path, tmp_path: Path) -> None:
        """R-TRAIN-6, R-TRAIN-7: kill -9 in mid-step; another process goes on from the last checkpoint."""
        spec = SPECS[name]
        whole = _folder(tmp_path / "whole", spec, base)
        run_child(whole)
        (started,) = of_type(read_events(whole), "started")
        assert (started["device"], started["precision"]) == ("cuda", "bf16")
        first = _folder(tmp_path / "first", spec | {"save_steps": 3}, base)
        child = start_child(first)
        child.wait_until(lambda events: any(event["type"] == "checkpoint" for event in events))
        child.process.kill()
        assert child.finish() == -signal.SIGKILL
        second = _folder(tmp_path / "second", spec | {"save_steps": 3}, base, checkpoint=last_checkpoint(first))
        run_child(second)
        assert 0 < of_type(read_events(second), "resumed")[0]["from_step"] < 30
        assert_equals_whole_run(whole, first, second, "adapter_model" if name == "lora" else "model")

    def test_a_run_repeats_itself(self, base: Path, tmp_path: Path) -> None:
        """The same seed gives the same bits, in another process."""
        weights = []
        for name in ("one", "other"):
            folder = _folder(tmp_path / name, SPECS["pretrain"], base)
            run_child(folder)
            weights.append(load_file(folder / "output" / "model.safetensors"))
        assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])


class TestLearning:
    @pytest.mark.parametrize("method", ["pretrain", "sft", "lora"])
    def test_it_learns_what_the_processor_learns(self, method: str, base: Path, tmp_path: Path) -> None:
        """In float32 from the same seed: the first losses differ by rounding, the later ones by what grows of it."""
        spec = dict(SPECS[method]) | {"precision": "fp32", "dropout": 0.0, "max_steps": 20, "logging_steps": 1}
        spec |= {"lora_dropout": 0.0} if method == "lora" else {}
        told = {}
        for device in ("cpu", "gpu"):
            folder = _folder(tmp_path / device, spec | {"device": device}, base)
            run_child(folder)
            told[device] = losses(folder)
        for key, value in told["cpu"].items():
            if key[1] in ("loss", "grad_norm"):
                assert told["gpu"][key] == pytest.approx(value, rel=1e-3 if key[0] <= 3 else 2e-2), key

    def test_bf16_is_close_to_float32(self, base: Path, tmp_path: Path) -> None:
        last = {}
        for precision in ("fp32", "bf16"):
            folder = _folder(tmp_path / precision, SPECS["pretrain"] | {"precision": precision, "dropout": 0.0}, base)
            run_child(folder)
            last[precision] = losses(folder)[30, "eval_loss"]
        assert last["bf16"] == pytest.approx(last["fp32"], rel=0.05)


class TestMachine:
    def test_auto_takes_the_gpu_that_it_sees_and_no_other(self, base: Path, tmp_path: Path) -> None:
        """A worker hands each child its devices by CUDA_VISIBLE_DEVICES, an empty one where it has none."""
        spec = SPECS["pretrain"] | {"device": "auto", "max_steps": 2}
        for name, visible, device in (
            ("none", "", "cpu"),
            ("one", os.environ.get("CUDA_VISIBLE_DEVICES", "0"), "cuda"),
        ):
            folder = _folder(tmp_path / name, spec, base)
            run_child(folder, CUDA_VISIBLE_DEVICES=visible)
            assert of_type(read_events(folder), "started")[0]["device"] == device

    def test_its_memory_and_its_share_of_the_products(self, base: Path, tmp_path: Path) -> None:
        folder = _folder(tmp_path, SPECS["pretrain"], base)
        run_child(folder)
        figures = of_type(read_events(folder), "metrics")[0]["values"]
        assert figures["memory_bytes"] > 10_000_000
        assert 0 < figures["flop_utilisation"] < 1

    def test_out_of_memory_is_told(self, tmp_path: Path) -> None:
        """R-TRAIN-11."""
        spec = dict(TINY_SPEC) | {"device": "gpu", "batch_size": 60_000, "sequence_length": 512, "epochs": 1}
        folder = make_work_folder(tmp_path, spec)
        child = start_child(folder)
        assert child.finish() == 3, child.errors()
        failed = read_events(folder)[-1]
        assert (failed["type"], failed["code"]) == ("failed", "out_of_memory")
