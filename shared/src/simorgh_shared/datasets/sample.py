"""The sample Persian conversations (R-DATA-10), made from the files of the package `chatterbot-corpus` 1.3.3.

Each conversation's first line is the question and every later line one answer. Cleaned: normalised; crude or
partisan categories, rows without Persian letters, rows with swear words, repeated rows and answers that
repeat the question are dropped. Split by groups, so that no sentence of the test stands in train.
"""

import hashlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import yaml

from simorgh_shared.datasets.rows import QaRow
from simorgh_shared.datasets.split import row_keys, split_indexes
from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.persian.code_points import normalise_code_points

TRAIN_SHA256 = "983e26286fce4ec67d7d878840540843ce4a099ff573e6341482a17fc58efddf"
TEST_SHA256 = "ab96be91427a3960ad8aa6dfe854ce8f5d351bfcf9ceea642409e2d996a10599"
LICENCE_FILE = Path(__file__).parent / "chatterbot-corpus.LICENSE.txt"
TEST_FRACTION = 0.12
LARGEST_TEST_GROUP = 12
_DROPPED_CATEGORIES = frozenset({"humor", "politics"})
_SWEAR_WORDS = ("عوضی", "کثافت")
_PERSIAN = re.compile("[\u0600-\u06ff]")


class SampleDataset(NamedTuple):
    """The files of the sample in a folder, with what they hold."""

    train_path: Path
    test_path: Path
    licence_path: Path
    train_sha256: str
    test_sha256: str
    num_train_rows: int
    num_test_rows: int


def write_sample(folder: Path) -> SampleDataset:
    """Write train.jsonl, test.jsonl and LICENSE below `folder`.

    Raises: UnavailableError where the package is missing or its files are not the ones this was made for.
    """
    rows = list(_clean_rows())
    split = split_indexes([row_keys(row) for row in rows], TEST_FRACTION, "", LARGEST_TEST_GROUP)
    parts = {
        "train.jsonl": _lines([rows[index] for index in split.train]),
        "test.jsonl": _lines([rows[index] for index in split.test]),
    }
    found = {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}
    for name, expected in (("train.jsonl", TRAIN_SHA256), ("test.jsonl", TEST_SHA256)):
        if found[name] != expected:
            raise UnavailableError("sample_changed", file=name, found=found[name], expected=expected)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in parts.items():
        (folder / name).write_bytes(data)
    licence_path = folder / "LICENSE"
    licence_path.write_bytes(LICENCE_FILE.read_bytes())
    return SampleDataset(
        folder / "train.jsonl",
        folder / "test.jsonl",
        licence_path,
        found["train.jsonl"],
        found["test.jsonl"],
        len(split.train),
        len(split.test),
    )


def _clean_rows() -> Iterator[QaRow]:
    seen: set[tuple[str, str]] = set()
    for question, answer in _pairs():
        pair = (normalise_code_points(question), normalise_code_points(answer))
        both = " ".join(pair)
        unfit = not all(pair) or pair[0] == pair[1] or pair in seen or not _PERSIAN.search(both)
        if unfit or any(word in both for word in _SWEAR_WORDS):
            continue
        seen.add(pair)
        yield QaRow(*pair)


def _pairs() -> Iterator[tuple[str, str]]:
    spec = importlib.util.find_spec("chatterbot_corpus")  # found, not imported: only its files are read
    if spec is None or spec.origin is None:
        raise UnavailableError("sample_missing")
    for path in sorted((Path(spec.origin).parent / "data" / "persian").glob("*.yml")):
        if path.stem in _DROPPED_CATEGORIES:
            continue
        for conversation in yaml.safe_load(path.read_text(encoding="utf-8"))["conversations"]:
            question, *answers = map(str, conversation)
            yield from ((question, answer) for answer in answers)


def _lines(rows: list[QaRow]) -> bytes:
    encoder = msgspec.json.Encoder()
    return b"".join(encoder.encode(row) + b"\n" for row in rows)
