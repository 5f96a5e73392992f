"""The report of a speech evaluation as one page that needs nothing from anywhere and runs nothing."""

from collections.abc import Sequence

from simorgh_shared.pages.frame import framed
from simorgh_shared.pages.html import Content, Markup, counted, joined, number, percent, said, table, tag
from simorgh_shared.persian.edit_distance import Edit
from simorgh_shared.persian.scored_text import ScoredForm
from simorgh_shared.persian.scoring import AlignedWord, ErrorCounts
from simorgh_shared.speech.evaluation import (
    EvaluatedModel,
    EvaluatedSample,
    Heard,
    SpeechEvaluation,
    worst_first,
)

MOST_SAMPLES = 300
"""What a browser scrolls through with ease; all samples are in the JSON."""
MOST_WORDS = 1500
"""Of one alignment; an hour of speech has ten thousand."""
_SHOWN_FORMS = (ScoredForm.NORMALISED, ScoredForm.PLAIN)
_FILTERS = (
    ("all", "all"),
    ("wrong", "with errors"),
    ("substitutions", "with substitutions"),
    ("deletions", "with deletions"),
    ("insertions", "with insertions"),
    ("failed", "without a transcript"),
)
_FORM_NAMES = {ScoredForm.NORMALISED: "what was said", ScoredForm.PLAIN: "as written"}


def page(found: SpeechEvaluation) -> str:
    """The whole page as HTML."""
    subject = found.subject
    body = tag(
        "main", _header(found), _cards(found), _totals(found), _confusions(found), _samples(found), _footer(found)
    )
    return framed(f"Speech evaluation on {subject.dataset}, version {subject.dataset_version}", body)


def _header(found: SpeechEvaluation) -> Markup:
    subject = found.subject
    facts = (
        f"Version {subject.dataset_version} · split {subject.split} · language {subject.language} · "
        f"{counted(found.num_samples, 'sample')} · {_duration(found.audio_s)} of audio · "
        f"made {subject.made_at:%Y-%m-%d %H:%M} UTC"
    )
    return tag(
        "header", tag("h1", "Heard of ", tag("bdi", subject.dataset, dir="auto")), tag("p", facts, class_="quiet")
    )


def _cards(found: SpeechEvaluation) -> Markup:
    cards: list[Markup] = []
    if found.models and found.num_samples:
        best = min(found.models, key=lambda model: model.totals[ScoredForm.NORMALISED].words.rate)
        totals = best.totals[ScoredForm.NORMALISED]
        cards += [
            _card(percent(totals.words.rate), f"word error rate of {best.name}, the lowest", "good"),
            _card(percent(totals.characters.rate), "its character error rate", "plain"),
        ]
    num_failed = sum(model.num_failed for model in found.models)
    cards += [
        _card(number(found.num_samples), "samples", "plain"),
        _card(number(len(found.models)), "models", "plain"),
        _card(number(num_failed), "without a transcript", "bad" if num_failed else "good"),
    ]
    return tag("div", joined(cards), class_="cards")


def _card(figure: str, what: str, kind: str) -> Markup:
    return tag("div", tag("b", figure), tag("span", what), class_=kind)


def _totals(found: SpeechEvaluation) -> Markup:
    lead = (
        "Errors for each word or character of the reference, over all samples; more than 100 % where more was "
        "added than was said. “What was said” leaves aside ZWNJ, ye and kaf, digits of other scripts, diacritics, "
        "punctuation and case; “as written” counts them."
    )
    header = ("model", "of", "WER", "CER", "substituted", "deleted", "inserted", "words", "failed", "× real time")
    rows = [_total_row(model, form) for model in found.models for form in _SHOWN_FORMS]
    return _section("Totals", lead, table(header, rows, range(2, len(header))))


def _total_row(model: EvaluatedModel, form: ScoredForm) -> list[Content]:
    totals = model.totals[form]
    words = totals.words
    factor = "–" if model.real_time_factor is None else f"{model.real_time_factor:.3f}"
    return [
        tag("bdi", model.name, dir="auto"),
        _FORM_NAMES[form],
        percent(words.rate),
        percent(totals.characters.rate),
        *map(number, (words.substitutions, words.deletions, words.insertions, words.num_reference, model.num_failed)),
        factor,
    ]


def _confusions(found: SpeechEvaluation) -> Markup:
    lead = "Words that were most often heard as others, by what was said."
    parts = [
        tag(
            "div",
            tag("h3", tag("bdi", model.name, dir="auto")),
            table(
                ("said", "heard", "times"),
                [[said(one.said), said(one.heard), number(one.count)] for one in model.confusions],
                (2,),
            ),
        )
        for model in found.models
        if model.confusions
    ]
    if not parts:
        return _section("Confusions", lead, tag("p", "There are none."))
    return _section("Confusions", lead, tag("div", joined(parts), class_="pair"))


def _samples(found: SpeechEvaluation) -> Markup:
    samples = worst_first(found)
    lead = (
        "Worst first, by the mean of the models' word error rates. Struck out: said and not heard. Green: heard and "
        "not said. Struck out with yellow behind it: heard as another word."
    )
    shown = [_sample(found.models, sample) for sample in samples[:MOST_SAMPLES]]
    more = len(samples) - len(shown)
    rest = (
        [tag("p", f"{counted(more, 'better sample')} not shown: the report's JSON has all.", class_="quiet")]
        if more > 0
        else []
    )
    return _section("Samples", lead, _filters(), *shown, *rest)


def _filters() -> Markup:
    forms = [("normalised", _FORM_NAMES[ScoredForm.NORMALISED]), ("plain", _FORM_NAMES[ScoredForm.PLAIN])]
    return tag("div", _choices("show", "samples", _FILTERS), _choices("form", "compare", forms), class_="filters")


def _choices(name: str, legend: str, choices: Sequence[tuple[str, str]]) -> Markup:
    """Radio buttons that the page's style alone acts upon."""
    inputs = [
        tag("label", _radio(name, value, is_chosen=place == 0), " ", text)
        for place, (value, text) in enumerate(choices)
    ]
    return tag("fieldset", tag("legend", legend), joined(inputs))


def _radio(name: str, value: str, *, is_chosen: bool) -> Markup:
    checked = " checked" if is_chosen else ""
    return Markup(f'<input type="radio" name="{name}" id="{name}-{value}"{checked}>')


def _sample(models: Sequence[EvaluatedModel], sample: EvaluatedSample) -> Markup:
    title = f"Row {number(sample.row)} · {_duration(sample.duration_s)}"
    heard = [
        _heard(model.name, one, form) for form in _SHOWN_FORMS for model, one in zip(models, sample.heard, strict=True)
    ]
    reference = tag("div", tag("span", "reference"), said(_cut(sample.reference)), class_="heard")
    return tag("article", tag("h3", title), reference, *heard, class_=_sample_classes(sample))


def _sample_classes(sample: EvaluatedSample) -> str:
    words = [one.scores[ScoredForm.NORMALISED].words for one in sample.heard]
    kinds = {
        "with-substitutions": any(counts.substitutions for counts in words),
        "with-deletions": any(counts.deletions for counts in words),
        "with-insertions": any(counts.insertions for counts in words),
        "failed": any(one.error is not None for one in sample.heard),
    }
    there = [kind for kind, is_there in kinds.items() if is_there]
    return " ".join(["sample", *(there or ["right"])])


def _heard(model: str, heard: Heard, form: ScoredForm) -> Markup:
    score = heard.scores[form]
    name = tag("span", tag("bdi", model, dir="auto"), f" · {_rates(score.words, score.characters)}")
    shown = tag("p", f"No transcript: {heard.error}") if heard.error is not None else _aligned(score.alignment)
    return tag("div", name, shown, class_=f"heard in-{form}")


def _rates(words: ErrorCounts, characters: ErrorCounts) -> str:
    return f"WER {percent(words.rate)}, CER {percent(characters.rate)}"


def _aligned(steps: Sequence[AlignedWord]) -> Markup:
    if not steps:
        return tag("p", "Nothing was said, and nothing heard.", class_="quiet")
    parts: list[Content] = []
    for step in steps[:MOST_WORDS]:
        parts += [_step(step), " "]
    if len(steps) > MOST_WORDS:
        parts.append(tag("span", f"… {counted(len(steps) - MOST_WORDS, 'more word')}", class_="quiet"))
    return tag("div", joined(parts), class_="aligned", dir="auto")


def _step(step: AlignedWord) -> Content:
    reference, hypothesis = step.reference or "", step.hypothesis or ""
    if step.edit is Edit.EQUAL:
        return reference
    if step.edit is Edit.DELETION:
        return tag("del", reference)
    if step.edit is Edit.INSERTION:
        return tag("ins", hypothesis)
    return tag("span", tag("del", reference), tag("ins", hypothesis), class_="swap")


def _cut(text: str) -> str:
    words = text.split()
    return text if len(words) <= MOST_WORDS else " ".join([*words[:MOST_WORDS], "…"])


def _footer(found: SpeechEvaluation) -> Markup:
    return tag("footer", f"Scored by {found.rules}. Reports with other rules are not to be compared with this one.")


def _section(title: str, lead: str, *contents: Markup) -> Markup:
    return tag("section", tag("h2", title), tag("p", lead, class_="lead"), *contents)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
