"""What of the test split stands in the train split: the same sentences, and rows that are nearly the same."""

import heapq

import numpy as np

from simorgh_shared.datasets.split import sentence_key
from simorgh_shared.datasets.statistics.columns import Column
from simorgh_shared.datasets.statistics.duplicates import Comparer, NearGroups, Tick, group_members
from simorgh_shared.datasets.statistics.excerpts import excerpt
from simorgh_shared.datasets.statistics.reading import FIELDS, Batch, RowIndex
from simorgh_shared.datasets.statistics.segments import Codes, Ints
from simorgh_shared.datasets.statistics.similarity import THRESHOLD
from simorgh_shared.schemas.statistics import Leak, Leaks

_FIELDS_A_ROW = 16
_TRAIN_ROWS_COMPARED = 50
_MOST_COMPARED = 500_000


def sentence_owners(batch: Batch, compared: Ints) -> Codes:
    """The row and the field of texts of a batch that are named by their numbers, as one number each."""
    rows = np.searchsorted(np.cumsum(batch.texts_a_row), compared, side="right") + batch.first_row
    return (rows * _FIELDS_A_ROW + batch.fields[compared]).astype(np.uint32)


def exact_leaks(sentences: Column, index: RowIndex, most_shown: int, tick: Tick) -> Leaks:
    """Test rows with a sentence that a train row has, whichever its field.

    `sentences` holds the hash of each compared text's letters and digits, with its owner.
    """
    first_test = index.num_train_rows
    leaking = np.zeros((len(FIELDS), index.num_rows - first_test), dtype=np.bool_)
    pairs: dict[int, int] = {}
    for number, owners in enumerate(sentences.equal_runs()):
        if number % 10_000 == 0:
            tick()
        rows, fields = (owners // _FIELDS_A_ROW).astype(np.int64), owners % _FIELDS_A_ROW
        is_test = rows >= first_test
        if is_test.all() or not is_test.any():
            continue
        leaking[fields[is_test], rows[is_test] - first_test] = True
        for test in rows[is_test][:most_shown].tolist():
            pairs[test] = min(int(rows[0]), pairs.get(test, int(rows[0])))
    by_field = dict(zip(FIELDS, leaking.sum(axis=1).tolist(), strict=True))
    leaks = [_exact(index, test, pairs[test]) for test in heapq.nsmallest(most_shown, pairs)]
    num_rows = int(leaking.any(axis=0).sum())
    return _leaks(num_rows, index, {field: count for field, count in by_field.items() if count}, leaks)


def near_leaks(groups: NearGroups, index: RowIndex, comparer: Comparer, most_shown: int, tick: Tick) -> Leaks:
    """Test rows that are near duplicates of a train row."""
    first_test, num_leaking, num_compared = index.num_train_rows, 0, 0
    leaks: list[Leak] = []
    for number, rows in enumerate(group_members(groups)):
        if number % 256 == 0:
            tick()
        train, tests = [row for row in rows if row < first_test], [row for row in rows if row >= first_test]
        for test in tests if train and num_compared < _MOST_COMPARED else []:
            compared = train[:_TRAIN_ROWS_COMPARED]
            num_compared += len(compared)
            alike, closest = max((comparer.similarity(row, test), -row) for row in compared)
            if alike < THRESHOLD:
                continue
            num_leaking += 1
            if len(leaks) < most_shown:
                leaks.append(_leak(index, test, -closest, sorted({field for field, _ in index.read(test)}), alike))
    return _leaks(num_leaking, index, {}, leaks)


def _exact(index: RowIndex, test: int, train: int) -> Leak:
    held = {sentence_key(text) for _, text in index.read(train)}
    fields = sorted({field for field, text in index.read(test) if sentence_key(text) in held}, key=FIELDS.index)
    return _leak(index, test, train, fields, 1.0)


def _leak(index: RowIndex, test: int, train: int, fields: list[str], alike: float) -> Leak:
    return Leak(
        test=index.place(test),
        train=index.place(train),
        fields=fields,
        similarity=round(alike, 3),
        excerpt=excerpt(index.read(test)),
        train_excerpt=excerpt(index.read(train)),
    )


def _leaks(num_test_rows: int, index: RowIndex, by_field: dict[str, int], pairs: list[Leak]) -> Leaks:
    share = round(num_test_rows / max(1, index.num_rows - index.num_train_rows), 4)
    return Leaks(num_test_rows=num_test_rows, share=share, by_field=by_field, pairs=pairs)
