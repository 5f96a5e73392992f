"""Reports of speech models side by side, as data and as a page."""

from datetime import UTC, datetime
from html.parser import HTMLParser

import msgspec
import pytest

from simorgh_shared.persian.scored_text import ScoredForm
from simorgh_shared.speech import evaluation_page
from simorgh_shared.speech.evaluation import (
    EvaluatedSample,
    SpeechEvaluation,
    Subject,
    TriedModel,
    judge,
    judge_failure,
    report,
    worst_first,
)

SUBJECT = Subject("گفتار <b>", 3, "test", "fa", datetime(2026, 11, 27, 4, 0, tzinfo=UTC))
MODELS = (TriedModel("whisper-base", "ver_1"), TriedModel("<script>alert(1)</script>", None))
NORMALISED, PLAIN = ScoredForm.NORMALISED, ScoredForm.PLAIN


def _sample(row: int, reference: str, *transcripts: str) -> EvaluatedSample:
    return EvaluatedSample(row, reference, 2.0, [judge(reference, transcript, 0.5) for transcript in transcripts])


def _report() -> SpeechEvaluation:
    failed = EvaluatedSample(
        3, "آب سرد", 2.0, [judge("آب سرد", "آب سرد", 0.5), judge_failure("آب سرد", "audio_unreadable", 0.1)]
    )
    samples = [
        _sample(1, "من می‌روم.", "من می روم", "من می روم"),
        _sample(2, "نان و پنیر", "نام پنیر <i>", "نام و پنیر"),
        failed,
        _sample(4, "", "", "سلام"),
    ]
    return report(SUBJECT, MODELS, samples)


class _Elements(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.classes: list[str] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = dict(attributes)
        assert not [name for name in named if name.startswith("on") or name in ("src", "href", "action")]
        self.classes.append(named.get("class") or "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


class TestReport:
    def test_totals_stand_side_by_side(self):
        """R-VOICE-5: several models over the same samples, plain and normalised."""
        base, other = _report().models
        assert base.totals[NORMALISED].words.num_reference == other.totals[NORMALISED].words.num_reference == 7
        assert base.totals[NORMALISED].words.rate == 3 / 7
        assert other.totals[NORMALISED].words.rate == 4 / 7
        assert base.totals[PLAIN].words.rate > base.totals[NORMALISED].words.rate

    def test_a_failed_sample_counts_as_not_heard(self):
        """R-VOICE-5: a model gains nothing by refusing what is hard."""
        other = _report().models[1]
        assert other.num_failed == 1
        assert other.totals[NORMALISED].words.deletions == 2

    def test_speed_is_computing_for_each_second_of_audio(self):
        """R-VOICE-5."""
        base = _report().models[0]
        assert base.seconds == 2.0
        assert base.real_time_factor == 2.0 / 8.0
        assert report(SUBJECT, MODELS, []).models[0].real_time_factor is None

    def test_confusions_are_counted(self):
        """R-VOICE-5."""
        samples = [_sample(row, "نان تازه", "نام تازه") for row in range(3)] + [_sample(9, "آب", "تب")]
        confusions = report(SUBJECT, MODELS[:1], samples).models[0].confusions
        assert [(one.said, one.heard, one.count) for one in confusions] == [("نان", "نام", 3), ("آب", "تب", 1)]

    def test_worst_stands_first(self):
        """R-VOICE-5."""
        assert [sample.row for sample in worst_first(_report())] == [2, 3, 4, 1]

    def test_models_and_what_they_heard_must_fit(self):
        """R-VOICE-5."""
        with pytest.raises(ValueError, match="each sample"):
            report(SUBJECT, MODELS, [_sample(1, "نان", "نان")])

    def test_goes_through_json(self):
        """R-VOICE-5."""
        found = _report()
        assert msgspec.json.decode(msgspec.json.encode(found), type=SpeechEvaluation) == found


class TestPage:
    def test_holds_every_figure_and_nothing_that_runs(self):
        """R-VOICE-5: one page that stands by itself."""
        html = evaluation_page.page(_report())
        elements = _Elements(html)
        text = " ".join(elements.text)
        assert "script" not in elements.tags
        assert elements.tags.count("style") == 1
        assert "default-src 'none'" in html
        assert "<script>alert(1)</script>" in text
        assert "گفتار <b>" in text
        assert "42.9 %" in text
        assert "57.1 %" in text
        assert "No transcript: audio_unreadable" in text
        assert "speech-scoring/1" in text

    def test_alignments_are_coloured_by_edit(self):
        """R-VOICE-5."""
        html = evaluation_page.page(_report())
        assert '<span class="swap"><del>نان</del><ins>نام</ins></span> <del>و</del> پنیر <ins>i</ins>' in html
        assert '<div class="aligned" dir="auto">' in html

    def test_samples_can_be_chosen_without_a_script(self):
        """R-VOICE-5: the style acts upon radio buttons by the classes that samples have."""
        elements = _Elements(evaluation_page.page(_report()))
        samples = [kind for kind in elements.classes if kind.startswith("sample")]
        assert samples == [
            "sample with-substitutions with-deletions with-insertions",
            "sample with-deletions failed",
            "sample with-insertions",
            "sample right",
        ]
        assert elements.tags.count("input") == 8

    def test_many_samples_are_cut_and_the_page_says_so(self):
        """R-VOICE-5."""
        samples = [_sample(row, "نان", "نان") for row in range(evaluation_page.MOST_SAMPLES + 2)]
        html = evaluation_page.page(report(SUBJECT, MODELS[:1], samples))
        assert "2 better samples not shown" in html
        assert html.count("<article") == evaluation_page.MOST_SAMPLES

    def test_no_samples_are_a_page_too(self):
        """R-VOICE-5."""
        assert "0 samples" in evaluation_page.page(report(SUBJECT, MODELS, []))
