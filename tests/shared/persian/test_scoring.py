"""Error rates of transcripts, and what counts as an error in each form."""

import json
import time
from dataclasses import asdict

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simorgh_shared.persian.scored_text import ScoredForm, scored_text
from simorgh_shared.persian.scoring import (
    LONGEST_ALIGNED_CHARACTERS,
    character_error_rate,
    error_counts,
    score_corpus,
    score_sample,
    word_error_rate,
)
from tests.shared.persian.test_normaliser import MIXED

PLAIN, NORMALISED, SPOKEN = ScoredForm.PLAIN, ScoredForm.NORMALISED, ScoredForm.SPOKEN
WORDS = st.lists(st.sampled_from(["نان", "آب", "رفت", "می‌روم", "۱۲"]), max_size=12)


class TestScoredText:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("می‌روم", "می روم"),
            ("می‌روم", "میروم"),
            ("کتاب‌ها", "کتابها"),
            ("كتاب علي", "کتاب علی"),
            ("سال ۱۴۰۳", "سال 1403"),
            ("٣ نفر", "۳ نفر"),
            ("۱٬۲۰۰", "1200"),
            ("۳٫۵", "3.5"),
            ("سلام، دنیا!", "سلام دنیا"),
            ("مُعَلِّم", "معلم"),
            ("لطفاً", "لطفا"),
            ("خانهٔ ما", "خانه ما"),
            ("خانه‌ی ما", "خانهٔ ما"),
            ("مؤمن", "مومن"),
            ("USB", "usb"),
            ("Don't stop!", "dont stop"),
            ("علمی-تخیلی", "علمی تخیلی"),
            ("سلام  دنیا", "سلام\nدنیا"),
        ],
    )
    def test_what_is_said_alike_is_normalised_alike(self, one, other):
        """R-VOICE-5: ZWNJ, ye and kaf, digits, punctuation, diacritics, case."""
        assert scored_text(one, NORMALISED) == scored_text(other, NORMALISED)

    @pytest.mark.parametrize(
        ("one", "other"), [("نان", "نام"), ("۱۲", "۲۱"), ("می‌روم", "رفتم"), ("3.5", "35"), ("", "آ")]
    )
    def test_what_is_said_otherwise_stays_apart(self, one, other):
        """R-VOICE-5."""
        assert scored_text(one, NORMALISED) != scored_text(other, NORMALISED)

    @pytest.mark.parametrize(("one", "other"), [("۱۲ نفر", "دوازده نفر"), ("USB", "یو اس بی"), ("۵٪", "پنج درصد")])
    def test_spoken_forms_meet_across_spellings(self, one, other):
        """R-VOICE-3: the rules that make text speakable serve scoring."""
        assert scored_text(one, SPOKEN) == scored_text(other, SPOKEN)
        assert scored_text(one, NORMALISED) != scored_text(other, NORMALISED)

    def test_plain_text_keeps_all_but_blanks(self):
        """R-VOICE-5."""
        assert scored_text(" كتاب،\n می‌روم ۱2! ", PLAIN) == "كتاب، می‌روم ۱2!"

    @settings(max_examples=200, deadline=None)
    @given(MIXED)
    def test_scored_twice_is_scored_once(self, text):
        """R-VOICE-5."""
        once = scored_text(text, NORMALISED)
        assert once == " ".join(once.split())
        assert scored_text(text, PLAIN) == scored_text(scored_text(text, PLAIN), PLAIN)


class TestErrorCounts:
    def test_tells_substitutions_deletions_and_insertions_apart(self):
        """R-VOICE-5."""
        counts = error_counts(["این", "یک", "کتاب", "خوب", "است"], ["این", "کتاب", "خیلی", "بد", "است"])
        assert (counts.hits, counts.substitutions, counts.deletions, counts.insertions) == (3, 1, 1, 1)
        assert counts.num_reference == 5
        assert counts.rate == 3 / 5
        assert counts.errors == 3

    @pytest.mark.parametrize(
        ("reference", "hypothesis", "rate"),
        [("", "", 0.0), ("", "نان آب", 1.0), ("نان", "", 1.0), ("نان", "نان آب سیب", 2.0), ("نان", "نان", 0.0)],
    )
    def test_rate_at_the_edges(self, reference, hypothesis, rate):
        """R-VOICE-5: silence in which words were heard is wholly wrong, and a rate may pass 1."""
        assert error_counts(reference.split(), hypothesis.split()).rate == rate
        assert word_error_rate(reference, hypothesis) == rate

    @given(WORDS, WORDS)
    def test_counts_add_up(self, reference, hypothesis):
        """R-VOICE-5."""
        counts = error_counts(reference, hypothesis)
        assert counts.hits + counts.substitutions + counts.deletions == len(reference) == counts.num_reference
        assert counts.hits + counts.substitutions + counts.insertions == len(hypothesis)
        assert (counts.errors == 0) == (reference == hypothesis)


class TestCharacterErrorRate:
    def test_counts_characters_and_blanks_between_words(self):
        """R-VOICE-5."""
        assert character_error_rate("نان آب", "نام آب") == 1 / 6
        assert character_error_rate("نان آب", "نانآب") == 1 / 6


class TestScoreSample:
    def test_plain_and_normalised_side_by_side(self):
        """R-VOICE-5."""
        score = score_sample("من می‌روم.", "من می روم")
        assert score.forms[PLAIN].words.rate == 1.0
        assert score.forms[NORMALISED].words.rate == 0.0
        assert score.forms[NORMALISED].characters.errors == 0

    def test_alignment_names_the_words(self):
        """R-VOICE-5."""
        steps = score_sample("نان و آب", "نام آب سرد").forms[NORMALISED].alignment
        assert [(step.edit, step.reference, step.hypothesis) for step in steps] == [
            ("substitution", "نان", "نام"),
            ("deletion", "و", None),
            ("equal", "آب", "آب"),
            ("insertion", None, "سرد"),
        ]

    def test_an_overlong_text_is_refused(self):
        """R-VOICE-5."""
        with pytest.raises(ValueError, match="at most"):
            score_sample("آ" * (LONGEST_ALIGNED_CHARACTERS + 1), "")

    def test_a_long_transcript_takes_seconds(self):
        """R-VOICE-5: 3,000 words, every seventh wrong, in both forms."""
        reference = " ".join(f"واژه{number % 977}" for number in range(3_000))
        hypothesis = " ".join(f"واژه{number % (977 if number % 7 else 31)}" for number in range(3_000))
        start = time.process_time()
        score = score_sample(reference, hypothesis)
        assert time.process_time() - start < 20
        assert 0.1 < score.forms[NORMALISED].words.rate < 0.16


class TestScoreCorpus:
    def test_totals_are_of_all_words_together(self):
        """R-VOICE-5: no mean of rates, in which a short sample would weigh as much as a long one."""
        score = score_corpus([("نان", "نام"), ("یک دو سه چهار پنج شش هفت هشت نه", "یک دو سه چهار پنج شش هفت هشت نه")])
        assert score.num_samples == 2
        assert score.totals[NORMALISED].words.rate == 1 / 10
        assert [sample.forms[NORMALISED].words.rate for sample in score.samples] == [1.0, 0.0]

    def test_words_heard_in_silence_count_in_the_total(self):
        """R-VOICE-5."""
        assert score_corpus([("", "نان آب"), ("آب سرد", "آب سرد")]).totals[NORMALISED].words.rate == 1.0

    def test_no_samples_have_no_errors(self):
        """R-VOICE-5."""
        assert score_corpus([]).totals[PLAIN].words.rate == 0.0

    def test_becomes_json(self):
        """R-VOICE-5: an evaluation's report is JSON."""
        score = score_corpus([("نان و آب", "نان آب")], forms=(NORMALISED,))
        through_json = json.loads(msgspec.json.encode(score))
        assert through_json == json.loads(json.dumps(asdict(score)))
        assert through_json["totals"]["normalised"]["words"]["deletions"] == 1
        assert through_json["samples"][0]["forms"]["normalised"]["alignment"][1] == {
            "edit": "deletion",
            "reference": "و",
            "hypothesis": None,
        }
        assert through_json["rules"].startswith("speech-scoring/1 persian-normaliser/")
