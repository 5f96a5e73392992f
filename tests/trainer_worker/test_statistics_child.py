"""The statistics child by itself: it gives way, leaves when it is asked, and its memory does not grow (R-DATA-5)."""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

_WORDS = tuple(f"{a}{b}{c}" for a in "بپتجچ" for b in "اوی" for c in "رزسشکگل")


def lines(num_rows: int) -> Iterator[str]:
    """Rows of some 400 bytes, of which one in ten repeats an earlier one."""
    made = random.Random(3)
    kept: list[str] = []
    for _ in range(num_rows):
        if kept and made.random() < 0.1:
            yield made.choice(kept)
            continue
        question, answer = (" ".join(made.choices(_WORDS, k=length)) for length in (8, 40))
        line = json.dumps({"question": question, "answer": answer}, ensure_ascii=False) + "\n"
        if len(kept) < 1_000:
            kept.append(line)
        yield line


def work_folder(folder: Path, num_rows: int, **control: Any) -> Path:
    """What the runner makes."""
    data = folder / "inputs" / "dataset" / "train.jsonl"
    data.parent.mkdir(parents=True)
    with data.open("w", encoding="utf-8") as file:
        file.writelines(lines(num_rows))
    run = {
        "inputs": {
            "dataset": {"row_schema": "qa", "columns": {}, "train": ["inputs/dataset/train.jsonl"], "test": []},
            "facts": {"rows": num_rows, "bytes": data.stat().st_size, "sha256": "", "splits": []},
        }
    }
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "control.json").write_text(json.dumps(control))
    return folder


def start(folder: Path) -> "subprocess.Popen[bytes]":
    environment = dict(os.environ) | {"SIMORGH_PARENT_PID": str(os.getpid())}
    return subprocess.Popen([sys.executable, "-m", "simorgh_trainer.statistics", str(folder)], env=environment)


def last_event(folder: Path) -> Any:
    return json.loads((folder / "events.jsonl").read_text(encoding="utf-8").splitlines()[-1])


def peak_mb(process: "subprocess.Popen[bytes]") -> float:
    """The most memory that it had until its end. What wait4 tells counts the process that it was forked from too."""
    peak_kb = 0
    while process.poll() is None:
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            peak_kb = max(peak_kb, int(next(line for line in lines if line.startswith("VmHWM")).split()[1]))
        time.sleep(0.01)
    return peak_kb / 1_000


class TestChild:
    def test_its_memory_stays_while_the_file_grows(self, tmp_path: Path) -> None:
        """R-DATA-5: four times the rows, and what is counted in memory is a little more."""
        peaks = []
        for num_rows in (20_000, 80_000):
            folder = work_folder(tmp_path / str(num_rows), num_rows)
            process = start(folder)
            peaks.append(peak_mb(process))
            assert process.returncode == 0
            found = last_event(folder)["statistics"]
            assert found["duplicates"]["num_rows"] > 0.08 * num_rows
            assert found["fields"][-1]["characters"]["count"] == num_rows
        assert peaks[1] < peaks[0] + 60, peaks
        assert peaks[1] < 300, peaks

    def test_gives_way_to_all_else(self, tmp_path: Path) -> None:
        """R-DATA-5: uploads and chats go on beside it."""
        process = start(work_folder(tmp_path, 20_000))
        try:
            while not (tmp_path / "spill").exists():  # where it begins to work
                assert process.poll() is None
                time.sleep(0.01)
            assert psutil.Process(process.pid).nice() == 5
        finally:
            process.kill()
            process.wait()

    @pytest.mark.parametrize(("control", "reason"), [({"desired_state": "pause"}, "pause"), ({"drain": True}, "drain")])
    def test_leaves_as_it_is_asked(self, tmp_path: Path, control: dict[str, Any], reason: str) -> None:
        """R-JOB-3: nothing is kept, and whoever takes it up begins anew."""
        folder = work_folder(tmp_path, 2_000, **control)
        assert start(folder).wait(timeout=60) == 0
        assert (last_event(folder)["type"], last_event(folder)["reason"]) == ("left", reason)

    def test_a_bad_row_is_explained(self, tmp_path: Path) -> None:
        """R-DATA-3: the line stands in the error."""
        folder = work_folder(tmp_path, 10)
        with (folder / "inputs" / "dataset" / "train.jsonl").open("a") as file:
            file.write("{}\n")
        assert start(folder).wait(timeout=60) == 3
        failed = last_event(folder)
        assert (failed["code"], failed["params"]["line"]) == ("dataset_row_invalid", 11)
