"""What is found in datasets: planted duplicates, leaks, languages, code points, by their lines (R-DATA-5, R-DATA-6)."""

import itertools
import os
import random
from pathlib import Path

import pytest

from simorgh_shared.datasets.rows import RowSchema
from simorgh_shared.datasets.statistics.leakage_check import check
from simorgh_shared.datasets.statistics.reading import Source
from simorgh_shared.datasets.statistics.similarity import THRESHOLD, shingles_of, similarity
from simorgh_shared.domain.errors import InvalidInputError
from tests.shared.datasets.statistics.surveying import Pair, found, found_in, lines, source, write

_CHAT_FA = Path(os.environ.get("SIMORGH_TEST_CHAT_FA", Path(__file__).parents[5] / "shared/data/chat_fa"))
_WORDS = ("باران", "کتاب", "دریا", "خورشید", "پنجره", "کوچه", "درخت", "پرنده", "آسمان", "گلدان", "ستاره", "نسیم")


def sentences(num: int, words: int = 9, seed: int = 1) -> list[str]:
    """Sentences with little in common."""
    made = random.Random(seed)
    return [" ".join(made.choices(_WORDS, k=words)) + f" {made.randrange(10**6)}" for _ in range(num)]


def pairs(num: int, seed: int = 1) -> list[Pair]:
    texts = sentences(2 * num, seed=seed)
    return list(zip(texts[::2], texts[1::2], strict=True))


class TestEqualRows:
    def test_are_counted_and_shown_with_all_their_lines(self, tmp_path: Path) -> None:
        """R-DATA-5: in both spellings of ye and kaf, with other spaces; across the splits too."""
        rows = pairs(30)
        same = ("این یک پرسش کوتاه است", "بله، همین است")
        rows[4] = same
        rows[20] = ("اين  يك پرسش\u200f كوتاه است ", "بله، همین است")
        rows[25] = (same[0], "نه، این نیست")
        result = found_in(tmp_path, rows, [same, *pairs(3, seed=2)]).duplicates
        assert (result.num_groups, result.num_rows) == (1, 2)
        assert lines(result.groups[0].places) == [("train", 5), ("train", 21), ("test", 1)]
        assert result.groups[0].excerpts == [" | ".join(same)]

    def test_the_largest_groups_are_shown_first_and_no_more_than_fifty(self, tmp_path: Path) -> None:
        """R-DATA-5: the counts are of all."""
        rows = pairs(60)
        result = found_in(tmp_path, [*rows, *rows, rows[59], rows[59]]).duplicates
        assert (result.num_groups, result.num_rows, len(result.groups)) == (60, 62, 50)
        assert lines(result.groups[0].places) == [("train", line) for line in (60, 120, 121, 122)]

    def test_blank_lines_are_no_rows_and_count_as_lines(self, tmp_path: Path) -> None:
        """R-DATA-5: lines are those of the file."""
        path = write(tmp_path / "train.jsonl", [{"text": text} for text in sentences(3)])
        row = path.read_bytes().splitlines()[0]
        path.write_bytes(b"\xef\xbb\xbf\n" + path.read_bytes() + b"\n   \n" + row)
        result = found(Source(RowSchema.TEXT, {}, [("train", path)]))
        assert lines(result.duplicates.groups[0].places) == [("train", 2), ("train", 7)]


class TestNearRows:
    def test_a_word_more_or_another_ending_is_near_and_another_answer_is_not(self, tmp_path: Path) -> None:
        """R-DATA-5: as a reader would call it, with the lines."""
        rows = pairs(20)
        rows[2] = ("فرق دوبیتی با رباعی چیست", "رباعی با هجای بلند شروع میشه ولی دوبیتی با هجای کوتاه")
        rows[9] = ("فرق دوبیتی با رباعی چیه؟", rows[2][1])
        rows[11] = (rows[2][0], "هر دو چهار مصراع دارند و وزنشان یکی نیست")
        result = found_in(tmp_path, rows).near_duplicates
        assert [lines(group.places) for group in result.groups] == [[("train", 3), ("train", 10)]]
        assert result.groups[0].similarity == pytest.approx(0.842, abs=0.001)
        assert result.is_complete

    def test_rows_that_differ_in_marks_alone_are_near_and_wholly_alike(self, tmp_path: Path) -> None:
        """R-DATA-5: spaces and punctuation do not count."""
        result = found_in(tmp_path, [("می‌ترسم", "چرا؟"), ("میترسم", "چرا!"), *pairs(5)])
        assert result.duplicates.num_rows == 0
        assert [(group.num_rows, group.similarity) for group in result.near_duplicates.groups] == [(2, 1.0)]

    def test_finds_what_comparing_all_pairs_finds(self, tmp_path: Path) -> None:
        """R-DATA-5: at least 97 of 100 rows that could go, and none that could not."""
        made = random.Random(5)
        rows = pairs(150)
        for question, answer in rows[:120]:
            words = answer.split()
            words[made.randrange(len(words))] = made.choice(_WORDS)
            rows.append((question, " ".join(words)))
        shingles = [shingles_of([("question", q), ("answer", a)]) for q, a in rows]
        alike = {
            (one, other)
            for one, other in itertools.combinations(range(len(rows)), 2)
            if similarity(shingles[one], shingles[other]) >= THRESHOLD and rows[one] != rows[other]
        }
        second = {other for _, other in alike}
        assert len(second) > 60
        result = found_in(tmp_path, rows)
        shown = {place.line - 1 for group in result.near_duplicates.groups for place in group.places}
        assert shown <= {row for pair in alike for row in pair}
        assert result.near_duplicates.num_rows >= 0.97 * len(second)

    def test_many_that_are_alike_become_one_group(self, tmp_path: Path) -> None:
        """R-DATA-5: a bucket that is too large for all pairs is compared by leaders."""
        rows = [(f"لطفاً گزارش کامل فروش سالانه‌ی شعبه‌ی مرکزی را بفرست {n}", "گزارش فرستاده شد") for n in range(400)]
        result = found_in(tmp_path, rows).near_duplicates
        assert (result.num_groups, result.num_rows) == (1, 399)


class TestLeakage:
    TRAIN: tuple[Pair, ...] = (
        *pairs(10),
        ("پایتخت ایران کجاست؟", "تهران، در دامنه‌ی البرز و کنار کوه دماوند"),
        *pairs(5, seed=3),
    )

    def test_shared_sentences_are_told_with_lines_of_both_sides(self, tmp_path: Path) -> None:
        """R-DATA-6: a question, an answer, and one that is an answer there; after normalisation."""
        test = [*pairs(4, seed=4), ("پايتخت  ايران كجاست", "نمی‌دانم چرا می‌پرسی"), ("کدام شهر؟", self.TRAIN[2][0])]
        leakage = found_in(tmp_path, self.TRAIN, test).leakage
        assert leakage is not None
        exact = leakage.exact
        assert (exact.num_test_rows, exact.by_field) == (2, {"question": 1, "answer": 1})
        assert [(leak.test.line, leak.train.line, leak.fields) for leak in exact.pairs] == [
            (5, 11, ["question"]),
            (6, 3, ["answer"]),
        ]
        assert leakage.near.num_test_rows == 0

    def test_rows_that_are_nearly_the_same_leak_too(self, tmp_path: Path) -> None:
        """R-DATA-6."""
        test = [*pairs(4, seed=4), ("آیا پایتخت ایران کجاست؟", "تهران در دامنه‌ی البرز و کنار کوه دماوندی")]
        leakage = found_in(tmp_path, self.TRAIN, test).leakage
        assert leakage is not None
        assert leakage.exact.num_test_rows == 0
        assert [(leak.test.line, leak.train.line) for leak in leakage.near.pairs] == [(5, 11)]

    def test_sentences_without_letters_leak_only_where_they_are_the_same(self, tmp_path: Path) -> None:
        """R-DATA-6: as when rows are split."""
        result = found_in(tmp_path, [("سلام", ":)"), ("خوبی", "؟!")], [("درود", ":)"), ("چطوری", ":(")]).leakage
        assert result is not None
        assert [(leak.test.line, leak.train.line) for leak in result.exact.pairs] == [(1, 1)]

    def test_there_is_none_to_tell_without_a_test_split(self, tmp_path: Path) -> None:
        assert found_in(tmp_path, self.TRAIN).leakage is None

    def test_the_check_before_training_finds_the_same_lines(self, tmp_path: Path) -> None:
        """R-DATA-6: what may block a job."""
        test = [*pairs(4, seed=4), ("پايتخت ايران كجاست", "نه"), ("کدام شهر؟", self.TRAIN[2][0])]
        version = source(tmp_path, self.TRAIN, test)
        train, held = (Source(RowSchema.QA, {}, [file]) for file in version.files)
        result = check(train, held)
        assert (result.num_rows, result.num_test_rows, result.lines) == (2, 6, [(5, 11), (6, 3)])


class TestCodePoints:
    def test_arabic_ones_are_counted_with_lines(self, tmp_path: Path) -> None:
        """R-DATA-5: by code point, and rows that write one letter in both ways."""
        rows = [("كتاب كجاست", "روي ميز"), ("کتاب کجاست", "روي میز ٣"), ("همه درست", "۳ تا")]
        result = found_in(tmp_path, rows).code_points
        by_code = {one.code_point: (one.count, one.rows, lines(one.places), one.becomes) for one in result.code_points}
        assert by_code == {
            "U+0643": (2, 1, [("train", 1)], "ک"),
            "U+064A": (3, 2, [("train", 1), ("train", 2)], "ی"),
            "U+0663": (1, 1, [("train", 2)], "۳"),
        }
        assert (result.num_rows, result.num_mixed_rows, lines(result.mixed)) == (2, 1, [("train", 2)])


class TestLanguages:
    @pytest.mark.parametrize(
        ("text", "language"),
        [
            ("پدرم کتاب می‌خواند", "persian"),
            ("پدرم كتاب مي خواند و چاي مي نوشد", "persian"),
            ("أهلاً وسهلاً بكم في مدينة القاهرة الجميلة", "arabic"),
            ("سلام", "arabic_script"),
            ("Hello, how are you?", "latin"),
            ("Привет, как дела?", "other"),
            ("کتاب book کتاب book کتاب book", "mixed"),
            ("۱۲۳ + ۴ = ؟ :)", "none"),
        ],
    )
    def test_letters_tell_as_much_as_they_can(self, tmp_path: Path, text: str, language: str) -> None:
        """R-DATA-5."""
        path = write(tmp_path / "train.jsonl", [{"text": text}])
        shares = found(Source(RowSchema.TEXT, {}, [("train", path)])).languages
        assert [(one.language, one.rows, one.share) for one in shares] == [(language, 1, 1.0)]


class TestOtherKindsOfRows:
    def test_each_role_of_a_chat_is_a_field_and_what_the_model_is_told_is_not_compared(self, tmp_path: Path) -> None:
        """R-DATA-5."""
        turns = [("system", "کوتاه پاسخ بده"), ("user", "سلام خوبی؟"), ("assistant", "درود بر تو، خوبم")]
        chat = [{"role": role, "content": content} for role, content in turns]
        other = [{"role": "system", "content": "بلند پاسخ بده"}, *chat[1:]]
        path = write(tmp_path / "train.jsonl", [{"messages": chat}, {"messages": other}])
        result = found(Source(RowSchema.MESSAGES, {}, [("train", path)]))
        assert [field.field for field in result.fields] == ["user", "assistant", "system", "row"]
        assert [field.characters.count for field in result.fields] == [2, 2, 2, 2]
        assert result.duplicates.num_rows == 1

    def test_preferences_have_three_fields(self, tmp_path: Path) -> None:
        """R-DATA-5."""
        row = {"prompt": "پایتخت؟", "chosen": "تهران", "rejected": "شیراز"}
        path = write(tmp_path / "train.jsonl", [row, row | {"rejected": "تبریز"}])
        result = found(Source(RowSchema.PREFERENCE, {}, [("train", path)]))
        assert [field.field for field in result.fields] == ["prompt", "chosen", "rejected", "row"]
        assert result.duplicates.num_rows == 0

    def test_a_bad_row_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "train.jsonl"
        path.write_text('{"text": "یک"}\n\n{"text": 2}\n', encoding="utf-8")
        with pytest.raises(InvalidInputError, match="Line 3 is no text row"):
            found(Source(RowSchema.TEXT, {}, [("train", path)]))

    def test_the_longest_rows_are_shown_first(self, tmp_path: Path) -> None:
        """R-DATA-5."""
        texts = ["الف " * length for length in (3, 50, 7, 90, 90, *range(1, 12))]
        path = write(tmp_path / "train.jsonl", [{"text": text} for text in texts])
        longest = found(Source(RowSchema.TEXT, {}, [("train", path)])).longest
        assert [(row.characters, row.line) for row in longest[:3]] == [(360, 4), (360, 5), (200, 2)]
        assert len(longest) == 10


@pytest.mark.skipif(not _CHAT_FA.is_dir(), reason="the conversations chat_fa are not on this machine")
class TestChatFa:
    def test_is_clean_but_for_rows_that_a_reader_would_call_the_same(self) -> None:
        """R-DATA-5, R-DATA-6, issue 4: no personal data, no equal rows, no leak; near ones were read one by one."""
        result = found(
            Source(RowSchema.QA, {}, [("train", _CHAT_FA / "train.jsonl"), ("test", _CHAT_FA / "test.jsonl")])
        )
        assert [kind.count for kind in result.personal_data.kinds] == [0] * 5
        assert result.personal_data.num_invalid_national_ids == 0
        assert (result.duplicates.num_rows, result.code_points.num_rows) == (0, 0)
        assert result.leakage is not None
        assert (result.leakage.exact.num_test_rows, result.leakage.near.num_test_rows) == (0, 0)
        # All 95 pairs of similarity 0.75 or more were read, and are a word or an ending apart; below that are
        # pairs such as «جدی نمیگیری» and «چرا جدی نمیگیری», which ask different things.
        assert result.near_duplicates.num_rows == 95
        excerpts = [group.excerpts for group in result.near_duplicates.groups]
        assert ["می‌ترسم | چرا؟", "میترسم | چرا؟"] in excerpts
        assert ["سلام علیکم | سلام عزیز", "سلام علیکم | سلام عزیزم"] in excerpts
