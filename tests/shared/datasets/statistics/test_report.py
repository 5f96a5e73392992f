"""What the statistics of a dataset say to people: numbers like national ids, warnings, the page (R-DATA-5)."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from simorgh_shared.datasets.report.page import Title, page
from simorgh_shared.datasets.report.summary import warnings_of
from simorgh_shared.schemas.statistics import DatasetStatistics, Leakage, Leaks, PersonalFound
from tests.shared.datasets.statistics.surveying import found_in, lines


class TestInvalidNationalIds:
    def test_are_shown_with_split_line_field_and_masked(self, tmp_path: Path) -> None:
        """R-DATA-5: beside the valid ones, and not counted with them."""
        train = [
            ("سلام", "درود"),
            ("چه خبر", "خبری نیست"),
            ("کد ملی 0499370899 است", "کد ۰۴۹۹۳۷۰۸۹۸ درست نیست، 0499370897 هم"),
        ]
        personal = found_in(tmp_path, train, [("کد من 049-937089-8", "باشد")]).personal_data
        assert (personal.num_rows, personal.num_invalid_national_ids) == (1, 3)
        assert [(*place, one.field, one.excerpt) for place, one in _placed(personal.invalid_national_ids)] == [
            ("train", 3, "answer", "کد ۰۴••••••۹۸ درست نیست، 04••••••97 هم"),
            ("train", 3, "answer", "کد ۰۴••••••۹۸ درست نیست، 04••••••97 هم"),
            ("test", 1, "question", "کد من 04•-•••••9-8"),
        ]
        assert lines(personal.kinds[0].found) == [("train", 3)]

    def test_no_more_than_fifty_are_kept_and_all_are_counted(self, tmp_path: Path) -> None:
        """R-DATA-5."""
        personal = found_in(tmp_path, [(f"کد {number} است: 0499370898", "باشد") for number in range(60)])
        kept = personal.personal_data.invalid_national_ids
        assert (personal.personal_data.num_invalid_national_ids, len(kept)) == (60, 50)
        assert "0499370898" not in personal.model_dump_json()

    def test_statistics_made_before_they_were_kept_are_read_and_shown(self, tmp_path: Path) -> None:
        """R-DATA-5: the count alone."""
        now = found_in(tmp_path, [("سلام", "درود"), ("کد 0499370898", "باشد")])
        known = now.model_dump(mode="json")
        del known["personal_data"]["invalid_national_ids"]
        before = DatasetStatistics.model_validate(known)
        assert before.personal_data.num_invalid_national_ids == 1
        assert before.personal_data.invalid_national_ids == []
        title = Title("گفتگو", 1, datetime(2026, 1, 1, tzinfo=UTC))
        assert "04••••••98" in page(title, now).split("wrong checksum")[1].split("</section>")[0]
        shown = page(title, before).split("wrong checksum")[1].split("</section>")[0]
        assert "1 number; not counted above." in shown
        assert "<table>" not in shown


class TestWarnings:
    def test_one_is_told_as_one_and_thousands_with_their_comma(self, tmp_path: Path) -> None:
        """R-DATA-5."""
        one = found_in(tmp_path, [("الف", "ب"), ("الف", "ب")])
        assert list(warnings_of(one)) == ["1 row repeats another word for word: it counts twice in training."]
        many = found_in(tmp_path, [("الف", "ب")] * 1235)
        assert list(warnings_of(many)) == ["1,234 rows repeat others word for word: they count twice in training."]

    @pytest.mark.parametrize("num_rows", [1, 2])
    def test_each_kind_has_its_sentence(self, tmp_path: Path, num_rows: int) -> None:
        """R-DATA-5, R-DATA-6."""
        result = found_in(tmp_path, [("الف", "ب")])
        spoiled = result.model_copy(
            update={
                "duplicates": result.duplicates.model_copy(update={"num_rows": num_rows}),
                "near_duplicates": result.near_duplicates.model_copy(update={"num_rows": num_rows}),
                "personal_data": result.personal_data.model_copy(update={"num_rows": num_rows}),
                "code_points": result.code_points.model_copy(update={"num_rows": num_rows}),
                "leakage": Leakage(**{name: _leaking(num_rows) for name in ("exact", "near")}),
            }
        )
        begun = [warning.split(" ", 2)[:2] for warning in warnings_of(spoiled)]
        noun = "row" if num_rows == 1 else "rows"
        assert begun == [[str(num_rows), word] for word in (noun, "test", "test", noun, noun, noun)]


def _leaking(num_rows: int) -> Leaks:
    return Leaks(num_test_rows=num_rows, share=1.0, by_field={}, pairs=[])


def _placed(found_ones: list[PersonalFound]) -> list[tuple[tuple[str, int], PersonalFound]]:
    return list(zip(lines(found_ones), found_ones, strict=True))
