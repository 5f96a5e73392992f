"""The page of models side by side, from reports as the worker writes them (R-VOICE-5)."""

from datetime import UTC, datetime
from html.parser import HTMLParser

from simorgh_api.pages.evaluation import page
from simorgh_shared.persian.scored_text import ScoredForm
from simorgh_shared.persian.scoring import FormScore, score_sample
from simorgh_shared.schemas.evaluation import (
    AlignedWordView,
    ErrorCountsView,
    EvaluatedModelView,
    FormScoreView,
    FormTotalsView,
    HeardView,
    SampleView,
    SpeechEvaluation,
    UnreadableView,
)

SAID = "سلام دنیای بزرگ"
HEARD = {"mver_a": "سلام دنیا", "mver_b": "سلام دنیای بزرگ و <b>زیبا</b>"}
_WITHOUT_END = ("meta", "link", "br")


class Outline(HTMLParser):
    """Whether each tag that is opened is closed, and what stands in some of them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag not in _WITHOUT_END:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.found.append((self.open[-1], data))

    def texts(self, tag: str) -> list[str]:
        """What stands right in tags of this name."""
        return [data for name, data in self.found if name == tag]


def score(found: FormScore) -> FormScoreView:
    return FormScoreView(
        words=ErrorCountsView.model_validate(found.words),
        characters=ErrorCountsView.model_validate(found.characters),
        alignment=[AlignedWordView.model_validate(step) for step in found.alignment],
    )


def heard(version_id: str) -> HeardView:
    forms = score_sample(SAID, HEARD[version_id]).forms
    return HeardView(
        model_version_id=version_id,
        hypothesis=HEARD[version_id],
        language="fa",
        seconds=0.5,
        plain=score(forms[ScoredForm.PLAIN]),
        normalised=score(forms[ScoredForm.NORMALISED]),
    )


def model(version_id: str, name: str, one: HeardView | None, error: str | None = None) -> EvaluatedModelView:
    def totals(form: FormScoreView | None) -> FormTotalsView | None:
        return None if form is None else FormTotalsView(words=form.words, characters=form.characters)

    return EvaluatedModelView(
        model_version_id=version_id,
        name=name,
        job_id=f"job_{version_id}",
        status="failed" if error else "succeeded",
        error=error,
        num_samples=0 if one is None else 1,
        num_unreadable=0 if one is None else 1,
        audio_s=2.0,
        seconds=0.5,
        real_time_factor=None if one is None else 0.25,
        plain=totals(one.plain if one else None),
        normalised=totals(one.normalised if one else None),
    )


def report(num_rows: int = 2) -> SpeechEvaluation:
    both = [heard("mver_a"), heard("mver_b")]
    models = [model("mver_a", "<i>کوچک</i>", both[0]), model("mver_b", "بزرگ", both[1])]
    return SpeechEvaluation(
        job_id="job_1",
        name="x",
        dataset_id="ds_1",
        dataset_name="گفته‌ها",
        dataset_version_id="dsv_1",
        version=3,
        split="test",
        num_rows=num_rows,
        language="fa",
        rules="rules/1",
        made_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        models=[*models, model("mver_c", "broken", None, "The job failed: no such file")],
        samples=[SampleView(row=0, file_name="a.wav", clip="clips/test/1.wav", reference=SAID, heard=both)],
        unreadable=[UnreadableView(row=1, file_name="b.wav", model_version_id="mver_a", reason="The file is broken.")],
    )


class TestPage:
    def test_it_is_whole_html_in_which_names_are_text(self) -> None:
        """R-VOICE-5: nothing that was sent becomes a tag."""
        found = Outline(page(report()))
        assert found.open == []
        assert "<i>کوچک</i>" in found.texts("bdi")
        assert HEARD["mver_b"] in found.texts("bdi")
        assert not {"i", "script"} & {name for name, _ in found.found}

    def test_models_stand_side_by_side(self) -> None:
        """R-VOICE-5: rates by form; the lowest is marked, and who has none says why."""
        text = page(report())
        cells = Outline(text).texts("td")
        assert cells.count("normalised") == cells.count("plain") == 2
        assert "66.7 %" in cells, "two of three words"
        assert "0.250" in cells
        assert "The job failed: no such file" in cells
        assert text.count('class="good"') == 1

    def test_words_that_differ_are_marked(self) -> None:
        """R-VOICE-5: what was said struck out, what was heard underlined."""
        found = Outline(page(report()))
        assert found.texts("del") == ["دنیای", "بزرگ"]
        assert found.texts("ins") == ["دنیا", "و", "b", "زیبا", "b"]

    def test_what_is_left_out_is_told(self) -> None:
        """R-VOICE-5: how many samples there are beside those that are shown, and clips that counted in no rate."""
        text = page(report(5_000))
        assert "1 sample of 5,000." in text
        assert "The file is broken." in text
        assert "The first 1 of 2." in text
