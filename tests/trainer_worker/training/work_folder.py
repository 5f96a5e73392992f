"""Work folders as the runner makes them, and the child as the runner starts it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

DEADLINE_S = 60.0
TINY_SPEC: Mapping[str, Any] = {
    "model": "simorgh-2m",
    "vocab_size": 400,
    "batch_size": 4,
    "sequence_length": 48,
    "learning_rate": 2e-3,
    "epochs": 1_000,
    "logging_steps": 1,
    "save_steps": 5,
    "eval_steps": 5,
    "seed": 7,
    "threads": 2,
}

_THINGS = ("کتاب", "خانه", "درخت", "ماه", "گل", "رود", "کوه", "پرنده")
_ASKS = (("{} چیست؟", "{} را همه می‌شناسند."), ("{} کجاست؟", "{} نزدیک است."), ("{}؟", "نمی‌دانم، {}!"))


def questions(num_rows: int = 24) -> list[dict[str, str]]:
    """Small Persian rows, all different."""
    pairs = product(_ASKS, _THINGS)
    rows = [{"question": ask.format(thing), "answer": answer.format(thing)} for (ask, answer), thing in pairs]
    return rows[:num_rows]


def make_work_folder(
    folder: Path,
    spec: Mapping[str, Any],
    *,
    train: list[dict[str, Any]] | None = None,
    test: list[dict[str, Any]] | None = None,
    row_schema: str = "qa",
    columns: Mapping[str, str] | None = None,
    checkpoint: Path | None = None,
    anothers: bool = False,
    base_model: Path | None = None,
) -> Path:
    """Write `run.json` and the inputs below `folder`; the folder."""
    data = folder / "inputs" / "dataset"
    data.mkdir(parents=True)
    rows = questions()
    splits = {"train": rows[:20] if train is None else train, "test": rows[20:] if test is None else test}
    for name, split in splits.items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in split)
        (data / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    for name, given in (("checkpoint", checkpoint), ("base_model", base_model)):
        if given is not None:
            (folder / "inputs" / name).symlink_to(given)
    body = {
        "job_id": "job_test",
        "attempt": 1,
        "type": "train",
        "spec": dict(spec),
        "inputs": {
            "dataset": {
                "row_schema": row_schema,
                "columns": columns or {},
                "train": ["inputs/dataset/train.jsonl"],
                "test": ["inputs/dataset/test.jsonl"] if splits["test"] else [],
            },
            "base_model": "inputs/base_model" if base_model else None,
            "checkpoint": "inputs/checkpoint" if checkpoint else None,
            "is_anothers_checkpoint": anothers,
        },
        "lineage": {"dataset_version_id": "dv_test"},
    }
    (folder / "run.json").write_text(json.dumps(body), encoding="utf-8")
    return folder


def read_events(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of `events.jsonl`."""
    path = folder / "events.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]


def of_type(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The events of one type."""
    return [event for event in events if event["type"] == kind]


def losses(folder: Path) -> dict[tuple[int, str], float]:
    """Each loss that was logged, training and held out, by step and name."""
    found = {}
    for event in of_type(read_events(folder), "metrics"):
        for name in ("loss", "grad_norm", "learning_rate", "eval_loss", "token_accuracy"):
            if name in event["values"]:
                found[event["step"], name] = event["values"][name]
    return found


@dataclass
class Child:
    """A training child in its own session."""

    process: "subprocess.Popen[bytes]"
    folder: Path

    def wait_until(self, holds: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Its events, as soon as they fulfil a condition."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            events = read_events(self.folder)
            if holds(events):
                return events
            if self.process.poll() is not None:
                raise AssertionError(f"the child ended before: {self.errors()}")
            time.sleep(0.002)
        raise AssertionError(f"not within {DEADLINE_S} s: {read_events(self.folder)[-3:]}")

    def control(self, **members: Any) -> None:
        """Replace its control file as the runner does."""
        scratch = self.folder / "control.json.tmp"
        scratch.write_text(json.dumps({"desired_state": "run", "drain": False, "checkpoint_request": 0} | members))
        scratch.rename(self.folder / "control.json")

    def finish(self) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(DEADLINE_S)

    def errors(self) -> str:
        """What it wrote to its standard error."""
        return (self.folder / "stderr.log").read_text("utf-8", errors="replace")


def start_child(folder: Path, **environment: str) -> Child:
    """Start the child on a work folder, from another current folder, without OpenMP settings of its own."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    with (folder / "stderr.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "simorgh_trainer.training", str(folder)],
            cwd="/",
            env=inherited | {"SIMORGH_PARENT_PID": str(os.getpid())} | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Child(process, folder)


def run_child(folder: Path, **environment: str) -> list[dict[str, Any]]:
    """Run the child to a good end; its events."""
    child = start_child(folder, **environment)
    assert child.finish() == 0, child.errors()
    return read_events(folder)
