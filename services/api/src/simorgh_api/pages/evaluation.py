"""One page with what models heard in an audio set: their rates side by side, and the samples with the most errors."""

from collections.abc import Mapping, Sequence

from simorgh_shared.pages.frame import framed
from simorgh_shared.pages.html import Content, Markup, counted, joined, number, percent, table, tag
from simorgh_shared.schemas.evaluation import (
    AlignedWordView,
    EvaluatedModelView,
    FormScoreView,
    FormTotalsView,
    HeardView,
    SampleView,
    SpeechEvaluation,
)

_MARKS = {"substitution": "heard for", "deletion": "not heard", "insertion": "added"}


def page(report: SpeechEvaluation) -> str:
    """The whole page as HTML."""
    names = {one.model_version_id: one.name for one in report.models}
    parts = [
        _header(report),
        _cards(report),
        _totals(report),
        _samples(report, names),
        _unreadable(report, names),
        _footer(report),
    ]
    return framed(report.name, tag("main", *parts))


def _header(report: SpeechEvaluation) -> Markup:
    told = f"{counted(report.num_rows, 'clip')} of the {report.split} split, version {report.version}"
    language = f" · language {report.language}" if report.language else " · language told by each model"
    return tag(
        "header",
        tag("h1", tag("bdi", report.dataset_name, dir="auto")),
        tag("p", told, language, class_="quiet"),
        tag("p", "Evaluation ", tag("code", report.job_id), f" · {report.made_at:%Y-%m-%d %H:%M} UTC", class_="quiet"),
    )


def _cards(report: SpeechEvaluation) -> Markup:
    """The normalised rates of each model that has any; the lowest is marked."""
    scored = [(one, one.normalised) for one in report.models if one.normalised is not None]
    lowest = min((form.words.rate for _, form in scored), default=None)
    cards = []
    for one, form in scored:
        kind = "good" if form.words.rate == lowest and len(scored) > 1 else "plain"
        cards.append(
            tag("div", tag("b", percent(form.words.rate)), tag("span", "word errors, ", _named(one)), class_=kind)
        )
    return tag("div", joined(cards), class_="cards")


def _totals(report: SpeechEvaluation) -> Markup:
    header = ["Model", "Form", "WER", "CER", "Words", "Wrong", "Missing", "Added", "Clips", "RTF"]
    rows: list[list[Content]] = []
    for one in report.models:
        forms = (("normalised", one.normalised), ("plain", one.plain))
        if one.normalised is None:
            rows.append([_named(one), one.error or one.status, *[""] * 6, number(one.num_samples), ""])
        rows += [_row(one, name, form) for name, form in forms if form is not None]
    lead = (
        "Substituted, missing and added words for each word of the texts; characters likewise. Plain counts every "
        "difference; normalised forgives ZWNJ, ye and kaf, digits, diacritics, punctuation and case. RTF is seconds of "
        "work for a second of audio."
    )
    shown = table(header, rows, numbers=range(2, 10))
    return tag("section", tag("h2", "Models side by side"), tag("p", lead, class_="lead"), shown)


def _row(one: EvaluatedModelView, name: str, form: FormTotalsView) -> list[Content]:
    words = form.words
    factor = "" if one.real_time_factor is None else f"{one.real_time_factor:.3f}"
    return [
        _named(one),
        name,
        percent(words.rate),
        percent(form.characters.rate),
        number(words.num_reference),
        number(words.substitutions),
        number(words.deletions),
        number(words.insertions),
        number(one.num_samples),
        factor,
    ]


def _samples(report: SpeechEvaluation, names: Mapping[str, str]) -> Markup:
    if not report.samples:
        return tag("section", tag("h2", "Samples"), tag("p", "No clip could be heard.", class_="lead"))
    lead = "Those with the most wrong words first, in the normalised form."
    if report.num_rows > len(report.samples):
        lead = f"{counted(len(report.samples), 'sample')} of {number(report.num_rows)}. {lead}"
    shown = [_sample(one, names) for one in report.samples]
    return tag("section", tag("h2", "Samples"), tag("p", lead, class_="lead"), *shown)


def _sample(sample: SampleView, names: Mapping[str, str]) -> Markup:
    rows = [[tag("span", "text", class_="quiet"), "", tag("bdi", sample.reference, class_="said", dir="auto")]]
    rows += [_heard(one, names[one.model_version_id]) for one in sample.heard]
    title = tag("h3", f"Row {sample.row} · ", tag("bdi", sample.file_name, dir="auto"))
    return joined([title, table(["", "WER", "What was heard"], rows, numbers=[1])])


def _heard(one: HeardView, name: str) -> list[Markup | str]:
    named = tag("bdi", name, dir="auto")
    if one.normalised is None:
        return [named, "", tag("span", "could not be heard", class_="quiet")]
    return [named, percent(one.normalised.words.rate), _aligned(one.normalised, one.hypothesis or "")]


def _aligned(score: FormScoreView, hypothesis: str) -> Markup:
    """What was heard, and below it the words that differ."""
    heard = tag("bdi", hypothesis, class_="said", dir="auto")
    steps = joined(_step(step) for step in score.alignment)
    return joined([heard, tag("bdi", steps, class_="said words", dir="auto")]) if _differs(score.alignment) else heard


def _differs(steps: Sequence[AlignedWordView]) -> bool:
    return any(step.edit != "equal" for step in steps)


def _step(step: AlignedWordView) -> Markup:
    match step.edit:
        case "equal":
            return joined([step.hypothesis or "", " "])
        case "substitution":
            words = [tag("del", step.reference or ""), " ", tag("ins", step.hypothesis or "")]
        case "deletion":
            words = [tag("del", step.reference or "")]
        case _:
            words = [tag("ins", step.hypothesis or "")]
    return joined([tag("span", *words, title=_MARKS[step.edit]), " "])


def _unreadable(report: SpeechEvaluation, names: Mapping[str, str]) -> Markup:
    if not report.unreadable:
        return Markup("")
    rows = [
        [number(one.row), tag("bdi", one.file_name, dir="auto"), tag("bdi", names[one.model_version_id]), one.reason]
        for one in report.unreadable
    ]
    total = sum(one.num_unreadable for one in report.models)
    lead = "They count in no rate."
    if total > len(rows):
        lead = f"The first {number(len(rows))} of {number(total)}. {lead}"
    shown = table(["Row", "Clip", "Model", "Reason"], rows, numbers=[0])
    return tag("section", tag("h2", "Clips that could not be heard"), tag("p", lead, class_="lead"), shown)


def _footer(report: SpeechEvaluation) -> Markup:
    return tag("footer", "Compared by ", tag("code", report.rules), ": scores of other rules are other scores.")


def _named(one: EvaluatedModelView) -> Markup:
    return tag("bdi", one.name, dir="auto")
