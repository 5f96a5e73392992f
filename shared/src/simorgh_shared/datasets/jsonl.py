"""Judging JSON Lines: whole blocks at the speed of C, line by line only where something is wrong."""

from collections.abc import Sequence

from simorgh_shared.datasets.explain import fault_of
from simorgh_shared.datasets.formats import StartTally, judge_item, names_in
from simorgh_shared.datasets.intake import Block, Intake, iter_blocks
from simorgh_shared.datasets.rows import (
    MAX_CELL_CHARACTERS,
    MAX_ROW_BYTES,
    QaRow,
    Row,
    RowSchema,
    TextRow,
    strict_decoder,
    typed_decoder,
)
from simorgh_shared.datasets.tally import Tally
from simorgh_shared.domain.messages import sentence


def judge_jsonl(intake: Intake, start: StartTally) -> Tally | None:
    """Judge JSON Lines; blank lines are skipped. None for a file without rows.

    Raises: InvalidInputError (dataset_not_utf8).
    """
    judge: _LineJudge | None = None
    for block in iter_blocks(intake.raw_chunks()):
        if block.data.isspace():
            continue
        if judge is None:
            _prove_utf8(intake, block)
            names = names_in([] if block.is_cut else block.data.split(b"\n"), "JSON Lines")
            judge = _LineJudge(intake, start(names))
        judge.take(block)
    return judge.tally if judge else None


class _LineJudge:
    """Judges block after block of one file."""

    def __init__(self, intake: Intake, tally: Tally) -> None:
        self.tally = tally
        self._intake = intake
        self._decoder = typed_decoder(tally.row_schema, tally.columns)
        self._strict = strict_decoder(tally.row_schema, tally.columns)
        self._has_only_fields = True
        """Whether no row had a further field so far: then the strict decoder, the quicker way, is tried first."""

    def take(self, block: Block) -> None:
        """Count the rows of a block."""
        rows = self._strict_rows(block) if self._has_only_fields else None
        if rows is None:
            _prove_utf8(self._intake, block)
            rows = self._loose_rows(block)
            self._has_only_fields = self._has_only_fields and rows is None
        if rows is not None:
            self.tally.take(rows)
        elif block.is_cut:
            self.tally.refuse(f"Line {block.line}", sentence("row_too_long", {"limit": MAX_ROW_BYTES}))
        else:
            for number, line in enumerate(block.data.split(b"\n"), start=block.line):
                if line.strip():
                    judge_item(line, f"Line {number}", self._decoder, self.tally)

    def _strict_rows(self, block: Block) -> Sequence[Row] | None:
        """The rows of a block without any fault or further field, which proves that it is UTF-8."""
        if block.is_cut or len(block.data) > MAX_CELL_CHARACTERS or _may_hold_nul(block.data):
            return None
        try:
            rows = self._strict.decode_lines(block.data)
        except (ValueError, RecursionError):
            return None
        is_nested = self.tally.row_schema is RowSchema.MESSAGES
        return rows if _is_one_a_line(block, rows, is_nested=is_nested) and _are_full(rows) else None

    def _loose_rows(self, block: Block) -> Sequence[Row] | None:
        """The rows of a block without any fault."""
        if block.is_cut or len(block.data) > MAX_ROW_BYTES or _may_hold_nul(block.data):
            return None
        try:
            rows = self._decoder.decode_lines(block.data)
        except (ValueError, RecursionError):
            return None
        return rows if _is_one_a_line(block, rows, is_nested=True) and _are_full(rows) else None


def _is_one_a_line(block: Block, rows: Sequence[Row], *, is_nested: bool) -> bool:
    """Whether each line holds one row: as many rows as lines, and every newline parts two of them.

    Where a row holds no objects, a newline before { parts two rows. Most files write each row's first name alike,
    and a needle that long is found at twice the speed. }, newline, { always part two values.
    """
    data, num_breaks = block.data, block.num_lines - 1
    if len(rows) != block.num_lines:
        return False
    first_name = b"\n" + data[: data.find(b":")]
    if not is_nested and first_name.startswith(b"\n{") and data.count(first_name) == num_breaks:
        return True
    parted = data.count(b"}\n{")
    return parted == num_breaks or parted + data.count(b"}\r\n{") == num_breaks


def _are_full(rows: Sequence[Row]) -> bool:
    first = rows[0]
    if isinstance(first, QaRow):
        return "" not in [row.question.strip() and row.answer.strip() for row in rows]  # type: ignore[union-attr]
    if isinstance(first, TextRow):
        return "" not in [row.text.strip() for row in rows]  # type: ignore[union-attr]
    return not any(map(fault_of, rows))


def _may_hold_nul(data: bytes) -> bool:
    return b"\\" in data and b"\\u0000" in data


def _prove_utf8(intake: Intake, block: Block) -> None:
    try:
        block.data.decode()
    except UnicodeDecodeError as cause:
        if not (block.is_cut and cause.end == len(block.data)):  # else the cut went through a character
            raise intake.not_utf8(block.data, cause.start, block.offset, block.line) from cause
