"""Whether the test split that came with a run stands in its train split (R-DATA-6)."""

from collections.abc import Iterator

from simorgh_shared.child.events import EventLog
from simorgh_shared.datasets.rows import RowSchema
from simorgh_shared.datasets.statistics.leakage_check import check
from simorgh_shared.datasets.statistics.reading import Source
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.domain.messages import sentence
from simorgh_shared.schemas.training import OnLeakage
from simorgh_trainer.training.data import DatasetInput

_LINES_NAMED = 10


def check_leakage(dataset: DatasetInput, on_leakage: OnLeakage, events: EventLog) -> None:
    """Warn of test rows that share a sentence with train rows, or refuse the run.

    Raises: InvalidInputError `leakage` with the lines.
    """
    if not dataset.test:
        return
    row_schema = RowSchema(dataset.row_schema)
    train = Source(row_schema, dataset.columns, [("train", path) for path in dataset.train])
    test = Source(row_schema, dataset.columns, [("test", path) for path in dataset.test])
    found = check(train, test)
    if not found.num_rows:
        return
    examples = ", ".join(_named(found.lines))
    if on_leakage is OnLeakage.REFUSE:
        raise InvalidInputError("leakage", rows=found.num_rows, test_rows=found.num_test_rows, examples=examples)
    params = {"rows": found.num_rows, "test_rows": found.num_test_rows, "examples": examples}
    events.warn(sentence("leakage_seen", params))


def _named(lines: list[tuple[int, int]]) -> Iterator[str]:
    for test_line, train_line in lines[:_LINES_NAMED]:
        yield sentence("leakage_example", {"test_line": test_line, "train_line": train_line})
    if len(lines) > _LINES_NAMED:
        yield "…"
