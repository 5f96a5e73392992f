"""The training child as a process: what it writes, how it is steered, and that a resumed run equals the whole one."""

import json
import os
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from simorgh_shared.domain.messages import sentence
from tests.trainer_worker.training.work_folder import (
    DEADLINE_S,
    TINY_SPEC,
    losses,
    make_work_folder,
    of_type,
    read_events,
    run_child,
    start_child,
)

# Everything that has a state of its own is in it: dropout, accumulation, the best weights, an epoch's end.
RESUMED_SPEC = dict(TINY_SPEC) | {
    "dropout": 0.1,
    "gradient_accumulation": 2,
    "keep": "best",
    "max_steps": 30,
    "logging_steps": 3,
}


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of a run that nothing interrupted."""
    folder = make_work_folder(tmp_path_factory.mktemp("whole"), RESUMED_SPEC)
    run_child(folder, OMP_DISPLAY_ENV="verbose")
    return folder


def last_checkpoint(folder: Path) -> Path:
    return folder / of_type(read_events(folder), "checkpoint")[-1]["path"]


def assert_equals_whole_run(whole: Path, first: Path, second: Path, name: str = "model") -> None:
    """The later attempt redid and finished the run with the very same bits."""
    resumed_from = of_type(read_events(second), "resumed")[0]["from_step"]
    expected, before, after = losses(whole), losses(first), losses(second)
    assert before == {key: expected[key] for key in before}
    assert after == {key: value for key, value in expected.items() if key[0] > resumed_from}
    weights = load_file(second / "output" / f"{name}.safetensors")
    for key, tensor in load_file(whole / "output" / f"{name}.safetensors").items():
        assert torch.equal(weights[key], tensor), key
    assert not [event for event in of_type(read_events(second), "log") if event["level"] == "warning"]


class TestOutput:
    def test_says_what_runs_and_what_came_out(self, whole_run: Path) -> None:
        """R-TRAIN-5."""
        events = [event for event in read_events(whole_run) if event["type"] != "alive"]  # said on a slow machine
        started, result = events[0], events[-1]
        assert (started["type"], result["type"]) == ("started", "result")
        assert started["train_rows"] == 20
        assert started["eval_rows"] == 4
        assert started["total_steps"] == 30
        assert started["precision"] in ("bf16", "fp32")
        assert result["step"] == 30
        per_char = [
            event["values"]["eval_loss_per_char"]
            for event in of_type(events, "metrics")
            if "eval_loss" in event["values"]
        ]
        assert len(per_char) == 6
        assert result["metrics"]["lowest_eval_loss_per_char"] == min(per_char)
        assert per_char[-1] < per_char[0]
        figures = of_type(events, "metrics")[0]["values"]
        assert figures["tokens_per_s"] > 0
        assert 0 < figures["flop_utilisation"] < 1
        assert figures["memory_bytes"] > 50_000_000
        assert figures["eta_s"] > 0

    def test_threads_wait_asleep(self, whole_run: Path) -> None:
        """The settings that decide a factor of 20 reach OpenMP though nobody set them outside (architecture 5)."""
        errors = (whole_run / "stderr.log").read_text()
        assert "OMP_WAIT_POLICY = 'PASSIVE'" in errors
        assert "GOMP_SPINCOUNT = '0'" in errors
        (started,) = of_type(read_events(whole_run), "started")
        assert (started["omp_wait_policy"], started["gomp_spincount"]) == ("PASSIVE", "0")

    def test_lineage_names_data_and_tokenizer(self, whole_run: Path) -> None:
        lineage = json.loads((whole_run / "output" / "lineage.json").read_bytes())
        assert lineage["given"] == {"dataset_version_id": "dv_test"}
        assert len(lineage["environment"]["dataset"]) == 64
        assert len(lineage["environment"]["tokenizer"]) == 64
        assert lineage["spec"]["dropout"] == 0.1


class TestResume:
    def test_killed_run_ends_with_the_same_bits(self, whole_run: Path, tmp_path: Path) -> None:
        """R-TRAIN-6, R-TRAIN-7: kill -9 in mid-step; another process goes on from the last checkpoint."""
        first = make_work_folder(tmp_path / "first", RESUMED_SPEC)
        child = start_child(first)
        child.wait_until(lambda events: any(event.get("step", 0) >= 12 for event in events))
        child.process.kill()
        assert child.finish() == -signal.SIGKILL
        checkpoint = last_checkpoint(first)
        second = make_work_folder(tmp_path / "second", RESUMED_SPEC, checkpoint=checkpoint)
        run_child(second)
        assert of_type(read_events(second), "resumed")[0]["from_step"] in (5, 10, 15, 20)
        assert_equals_whole_run(whole_run, first, second)

    def test_paused_run_ends_with_the_same_bits(self, whole_run: Path, tmp_path: Path) -> None:
        """R-TRAIN-6: checkpoint-now at one step, pause at a later one, between the intervals."""
        first = make_work_folder(tmp_path / "first", RESUMED_SPEC)
        child = start_child(first)
        child.wait_until(lambda events: any(event["type"] == "metrics" for event in events))
        child.control(checkpoint_request=1)
        child.wait_until(lambda events: any(event.get("reason") == "requested" for event in events))
        child.control(checkpoint_request=1, desired_state="pause")
        assert child.finish() == 0
        events = read_events(first)
        assert [event["reason"] for event in of_type(events, "checkpoint")].count("requested") == 1
        assert (events[-1]["type"], events[-1]["reason"]) == ("left", "pause")
        assert events[-2]["type"] == "checkpoint"
        assert events[-2]["step"] == events[-1]["step"] < 30
        second = make_work_folder(tmp_path / "second", RESUMED_SPEC, checkpoint=last_checkpoint(first))
        run_child(second)
        assert_equals_whole_run(whole_run, first, second)


class TestLeaving:
    def test_cancel_saves_nothing(self, tmp_path: Path) -> None:
        folder = make_work_folder(tmp_path, TINY_SPEC | {"save_steps": 1_000_000})
        child = start_child(folder)
        child.wait_until(lambda events: any(event["type"] == "metrics" for event in events))
        child.control(desired_state="cancel")
        assert child.finish() == 0
        assert not (folder / "checkpoints").exists()
        assert not (folder / "output").exists()

    def test_dies_with_its_parent(self, tmp_path: Path) -> None:
        """R-TRAIN-7: a supervisor that is killed leaves no child behind, within a second."""
        folder = make_work_folder(tmp_path, TINY_SPEC | {"save_steps": 1_000_000})
        program = (
            "import os, subprocess, sys, time\n"
            "child = subprocess.Popen([sys.executable, '-m', 'simorgh_trainer.training', sys.argv[1]],\n"
            "    env=os.environ | {'SIMORGH_PARENT_PID': str(os.getpid())}, start_new_session=True)\n"
            "print(child.pid, flush=True)\n"
            "child.wait()\n"
        )
        parent = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE)
        assert parent.stdout is not None
        with parent.stdout:
            descriptor = os.pidfd_open(int(parent.stdout.readline()))
        try:
            ended = select.poll()
            ended.register(descriptor, select.POLLIN)
            assert not ended.poll(500), "the child should be running"
            parent.kill()
            parent.wait(DEADLINE_S)
            assert ended.poll(1_000), "the child outlived its parent by a second"
        finally:
            os.close(descriptor)

    def test_does_not_start_for_another_parent(self, tmp_path: Path) -> None:
        folder = make_work_folder(tmp_path, TINY_SPEC)
        child = start_child(folder, SIMORGH_PARENT_PID="1")
        assert child.finish() == 1
        assert not (folder / "events.jsonl").exists()


class TestFailures:
    """R-TRAIN-11: a code, parameters that fill its sentence, and exit code 3."""

    def test_out_of_memory(self, tmp_path: Path) -> None:
        """The process may take 200 MB more than it has at the start; a step needs gigabytes."""
        folder = make_work_folder(tmp_path, TINY_SPEC | {"batch_size": 4_000})
        child = start_child(folder)
        child.wait_until(lambda events: bool(events))
        status = Path(f"/proc/{child.process.pid}/statm").read_text()
        limit_bytes = int(status.split()[0]) * resource.getpagesize() + 200_000_000
        resource.prlimit(child.process.pid, resource.RLIMIT_AS, (limit_bytes, limit_bytes))
        assert child.finish() == 3, child.errors()
        failed = read_events(folder)[-1]
        assert (failed["type"], failed["code"]) == ("failed", "out_of_memory")
        assert failed["message"] == sentence(failed["code"], failed["params"])
        assert failed["params"] == {"batch_size": 4_000}
