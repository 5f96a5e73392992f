"""Which rows are measured, and as which ids (R-OPT-2)."""

import json
from pathlib import Path
from typing import Any

import pytest

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_trainer.optimize.held_out import read_held_out, read_learnt
from simorgh_trainer.training.data import DatasetInput, hold_out, read_rows
from tests.trainer_worker.training.foreign import make_model
from tests.trainer_worker.training.work_folder import questions

SPEC = {"rows": 200, "prompts": 100, "max_tokens": 8}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("source") / "model")


def dataset(folder: Path, test: list[dict[str, str]] | None = None, rows: Any = None) -> DatasetInput:
    paths = {}
    for name, some in (("train", rows or questions(24)), ("test", test or [])):
        paths[name] = folder / f"{name}.jsonl"
        paths[name].write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in some))
    schema = "text" if rows else "qa"
    return DatasetInput(schema, {}, [paths["train"]], [paths["test"]] if test else [])


class TestReadHeldOut:
    def test_rows_that_the_model_has_not_learnt(self, source: Path, tmp_path: Path) -> None:
        """R-OPT-2: those that its own run held out, by the same fraction and seed."""
        given = dataset(tmp_path)
        training = {"eval_fraction": 0.25, "seed": 7, "normalise": False}
        found = read_held_out(source, given, training, SPEC)
        _, held = hold_out(read_rows(given.train, "qa", {}), 0.25, 7)
        assert (found.source, found.num_rows) == ("held out as in training", len(held))

    def test_test_split_comes_first(self, source: Path, tmp_path: Path) -> None:
        found = read_held_out(source, dataset(tmp_path, questions(3)), None, SPEC | {"rows": 2})
        assert (found.source, found.num_rows, len(found.prompts)) == ("test split", 2, 2)

    def test_answers_alone_are_scored_and_texts_whole(self, source: Path, tmp_path: Path) -> None:
        """R-OPT-2: the labels of what is asked are left out; a text is gone on with from its middle."""
        asked = read_held_out(source, dataset(tmp_path, questions(1)), None, SPEC)
        ids, labels = asked.samples[0]
        assert 0 < sum(label != -100 for label in labels) < len(ids)
        texts = read_held_out(source, dataset(tmp_path, rows=[{"text": "کتاب خانه درخت"}]), None, SPEC)
        ids, labels = texts.samples[0]
        assert texts.source == "all rows"
        assert -100 not in labels
        assert texts.prompts[0] == ids[: len(ids) // 2]

    def test_answers_need_room(self, source: Path, tmp_path: Path) -> None:
        with pytest.raises(InvalidInputError, match="it takes 256 positions: lower max_tokens"):
            read_held_out(source, dataset(tmp_path), None, SPEC | {"max_tokens": 256})


class TestReadLearnt:
    def test_nothing_that_is_held_out_is_learnt(self, source: Path, tmp_path: Path) -> None:
        """R-OPT-1, R-OPT-2: of another dataset neither, though it holds the same rows."""
        given = dataset(tmp_path, questions(3))
        num_rows = len({json.dumps(row) for row in questions(24)} - {json.dumps(row) for row in questions(3)})
        assert len(read_learnt(source, given, None, None)) == num_rows
        other = DatasetInput("qa", {}, [*given.train, *given.test], [])
        assert len(read_learnt(source, given, None, other)) == num_rows
