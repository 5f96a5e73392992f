"""What the tests of statistics share: files of rows, and what is found in them."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simorgh_shared.datasets.rows import RowSchema
from simorgh_shared.datasets.statistics.reading import Source
from simorgh_shared.datasets.statistics.survey import Facts, survey
from simorgh_shared.schemas.statistics import DatasetStatistics, Place, SplitName

Pair = tuple[str, str]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Rows as JSON Lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def source(folder: Path, train: Sequence[Pair], test: Sequence[Pair] = ()) -> Source:
    """Questions and answers as a version's files."""
    files: list[tuple[SplitName, Path]] = []
    splits: tuple[tuple[SplitName, Sequence[Pair]], ...] = (("train", train), ("test", test))
    for split, pairs in splits:
        if pairs:
            rows = [{"question": question, "answer": answer} for question, answer in pairs]
            files.append((split, write(folder / f"{split}.jsonl", rows)))
    return Source(RowSchema.QA, {}, files)


def found(version: Source) -> DatasetStatistics:
    """What is found in a version, tokens aside."""
    num_bytes = sum(path.stat().st_size for _, path in version.files)
    with tempfile.TemporaryDirectory() as folder:
        return survey(version, Facts(0, num_bytes, "", []), Path(folder), lambda *_: None, lambda _: None)


def found_in(folder: Path, train: Sequence[Pair], test: Sequence[Pair] = ()) -> DatasetStatistics:
    """What is found in these questions and answers."""
    return found(source(folder, train, test))


def lines(places: Sequence[Place]) -> list[tuple[str, int]]:
    """Where rows stand."""
    return [(place.split, place.line) for place in places]
