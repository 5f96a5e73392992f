"""Datasets and runs by their names, by the command line (R-API-4)."""

import json
from pathlib import Path

import pytest

from tests.embedded.program import Simorgh
from tests.support import model_files
from tests.support.engine import Engine


def write(path: Path, *questions: str) -> Path:
    rows = [{"question": question, "answer": f"پاسخِ {question}"} for question in questions]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


class TestDatasets:
    def test_every_command_takes_a_name_with_or_without_its_extension(self, user: Simorgh) -> None:
        """R-API-4: as upload told it."""
        file = write(user.home / "پرسش.jsonl", "یک", "دو")
        told = user.run("datasets", "upload", str(file)).stdout
        assert told.startswith("Dataset پرسش.jsonl (ds_")
        for name in ("پرسش.jsonl", "پرسش"):
            assert "پاسخِ دو" in user.run("datasets", "preview", name).stdout
            assert user.run("datasets", "download", name, "-o", "-").stdout == file.read_text("utf-8")
            assert user.ask("datasets", "show", name)["name"] == "پرسش.jsonl"
        more = write(user.home / "more.jsonl", "سه")
        assert user.ask("datasets", "upload", str(more), "--dataset", "پرسش")["version"] == 2
        gone = user.ask("datasets", "delete", "پرسش")["id"]
        assert gone in told
        assert "There is no dataset پرسش" in user.refuse("datasets", "preview", "پرسش")

    def test_a_name_that_may_mean_several_is_refused_with_these(self, user: Simorgh, tmp_path: Path) -> None:
        """R-API-4: nothing is deleted by a guess; the whole name is no guess."""
        user.run("datasets", "upload", str(write(tmp_path / "twin.jsonl", "چهار")))
        (tmp_path / "twin.csv").write_text("question,answer\nپنج,شش\n", encoding="utf-8")
        user.run("datasets", "upload", str(tmp_path / "twin.csv"))
        told = user.refuse("datasets", "delete", "twin")
        assert told.startswith("simorgh: 2 datasets are named twin but for the extension.")
        assert "twin.csv (ds_" in told
        assert "twin.jsonl (ds_" in told
        user.run("datasets", "delete", "twin.csv")
        assert user.ask("datasets", "show", "twin")["name"] == "twin.jsonl"

    def test_a_name_with_a_slash_is_one_too(self, user: Simorgh, tmp_path: Path) -> None:
        """R-API-4: though it is no part of an address."""
        user.run("datasets", "upload", str(write(tmp_path / "x.jsonl", "هفت")), "--name", "گفت/شنود")
        assert user.ask("datasets", "show", "گفت/شنود")["name"] == "گفت/شنود"


class TestRuns:
    def test_a_run_is_named_by_its_unique_name(self, user: Simorgh) -> None:
        """R-API-4: to look at it and to steer it; two of one name are told apart by their ids alone."""
        run_id = user.ask("train", "start", "--name", "یکتا")["runId"]
        assert user.ask("train", "show", "یکتا")["runId"] == run_id
        assert user.ask("train", "cancel", "یکتا")["runId"] == run_id
        assert user.run("watch", "یکتا", code=3).stdout.endswith(f"Run {run_id} is cancelled.\n")
        twin_id = user.ask("train", "start", "--name", "یکتا")["runId"]
        told = user.refuse("train", "cancel", "یکتا")
        assert "2 of the newest 50 runs are named یکتا. A run is named by its id, or by its name where only" in told
        assert run_id in told
        assert twin_id in told
        user.run("train", "cancel", twin_id)
        told = user.refuse("train", "show", "نیست")
        assert told.startswith("simorgh: There is no run نیست in this project. A run is named by its id, or by its nam")


@pytest.mark.usefixtures("working_platform")
class TestFailed:
    def test_the_report_of_a_failed_run_says_why(self, working_platform: Engine, user: Simorgh) -> None:
        """R-API-4, R-TRAIN-5: as watch did."""
        del working_platform  # its worker runs it
        train = write(user.home / "leak-train.jsonl", "این جمله‌ای است که در هر دو فایل هست", "هشت")
        test = write(user.home / "leak-test.jsonl", "این جمله‌ای است که در هر دو فایل هست")
        user.run("datasets", "upload", str(train), "--test", str(test), "--name", "leaking")
        dataset_id = user.ask("datasets", "show", "leaking")["id"]
        asked = ("train", "start", "--name", "fails", "--dataset", dataset_id, "--set", "on_leakage=refuse", "--watch")
        assert "share a sentence with train rows" in user.run(*asked, code=1).stderr
        done = user.run("train", "report", "fails")
        assert "failed" in done.stdout
        assert "It failed: " in done.stderr
        assert "share a sentence with train rows" in done.stderr


class TestLineage:
    def test_where_a_model_comes_from_is_shown_by_its_name(self, user: Simorgh, tmp_path: Path) -> None:
        """R-MODEL-2, R-API-4: the upload, the model, and what led to what."""
        folder = model_files.write(tmp_path / "تبار", model_files.base_folder())
        version_id = user.ask("models", "show", user.ask("models", "upload", str(folder))["id"])["versions"][0]
        found = user.ask("models", "lineage", "تبار")
        assert found["version_id"] == version_id["version_id"]
        lines = user.run("models", "lineage", "تبار").stdout.splitlines()
        (asked,) = [line for line in lines if "asked for" in line]
        assert asked.startswith("model version")
        assert found["version_id"] in asked
        for edge in found["edges"]:
            words = [edge["source"], edge["relation"].replace("_", " "), edge["target"]]
            assert " ".join(words) in [" ".join(line.split()) for line in lines]
        assert found["edges"]
        assert "There is no model none" in user.refuse("models", "lineage", "none")
