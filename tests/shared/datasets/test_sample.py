"""The sample dataset, its split and the baseline that is counted on it."""

import hashlib
import math
from pathlib import Path

import pytest

from simorgh_shared.datasets import sample
from simorgh_shared.datasets.rows import QaRow, RowSchema, iter_rows
from simorgh_shared.datasets.split import group_rows, split_rows
from simorgh_shared.datasets.trigram import CharTrigram, held_out_text_characters, row_text
from simorgh_shared.domain.errors import InvalidInputError, UnavailableError
from simorgh_shared.persian.code_points import comparison_key


def qa_rows(path: Path) -> list[QaRow]:
    return [row for row in iter_rows(path, RowSchema.QA) if isinstance(row, QaRow)]


class TestWriteSample:
    def test_no_sentence_of_the_test_stands_in_train(self, tmp_path):
        """R-DATA-10, R-DATA-6: compared without punctuation, spaces, ZWNJ and letter variants."""
        made = sample.write_sample(tmp_path)
        train, test = qa_rows(made.train_path), qa_rows(made.test_path)
        assert (len(train), len(test)) == (made.num_train_rows, made.num_test_rows)
        assert len(train) + len(test) == 1993
        keys = [{comparison_key(text) for row in rows for text in (row.question, row.answer)} for rows in (train, test)]
        assert not (keys[0] & keys[1]) - {""}
        assert len({(row.question, row.answer) for row in train + test}) == 1993

    def test_licence_and_checksums_come_along(self, tmp_path):
        """R-DATA-10."""
        made = sample.write_sample(tmp_path)
        assert "Redistribution and use in source and binary forms" in made.licence_path.read_text()
        assert hashlib.sha256(made.train_path.read_bytes()).hexdigest() == made.train_sha256

    def test_another_content_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sample, "TRAIN_SHA256", "0" * 64)
        with pytest.raises(UnavailableError, match=r"chatterbot-corpus==1\.3\.3"):
            sample.write_sample(tmp_path)
        assert not list(tmp_path.iterdir())


class TestSplitRows:
    def test_rows_that_share_a_sentence_stay_together(self):
        """R-DATA-6."""
        rows = [QaRow(f"سؤال {number // 2}", f"جواب {number}") for number in range(200)]
        train, test = split_rows(rows, 0.2, seed=1)
        assert len(test) == 40
        assert not {row.question for row in train} & {row.question for row in test}
        assert split_rows(rows, 0.2, seed=1) == (train, test)
        assert split_rows(rows, 0.2, seed=2) != (train, test)

    def test_groups_join_through_others(self):
        """R-DATA-6."""
        assert group_rows([["a", "b"], ["c", "d"], ["d", "b"], ["e"]]) == [[0, 1, 2], [3]]


class TestIterRows:
    def test_a_bad_row_is_named_by_its_line(self, tmp_path):
        path = tmp_path / "rows.jsonl"
        path.write_text('\ufeff{"question":"a","answer":"b"}\r\n\n{"question":"a"}\n', encoding="utf-8")
        rows = iter_rows(path, RowSchema.QA)
        assert next(rows) == QaRow("a", "b")
        with pytest.raises(InvalidInputError, match=r"Line 3 .*answer"):
            next(rows)


class TestCharTrigram:
    def test_probabilities_sum_to_one(self):
        model = CharTrigram.fit(["سلام", "سلامت"])
        symbols = [*"سلامت", "unknown"]
        assert math.isclose(sum(model.probability("سل", symbol) for symbol in symbols), 1.0)

    def test_counts_the_characters_and_two_ends(self):
        row = QaRow("سلام", "خوبی؟")
        assert len(row_text(row)) == held_out_text_characters(row) == 11

    def test_the_sample_is_scored_below_a_bigram_like_level(self, tmp_path):
        """R-DATA-10: the named baseline of the quick start, 2.48 nats per character."""
        made = sample.write_sample(tmp_path)
        model = CharTrigram.fit(map(row_text, qa_rows(made.train_path)))
        assert model.nats_per_char(map(row_text, qa_rows(made.test_path))) == pytest.approx(2.482, abs=0.001)
