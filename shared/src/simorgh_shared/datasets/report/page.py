"""One page with all that is known of a dataset version. It needs nothing from anywhere, and runs nothing."""

from dataclasses import dataclass
from datetime import datetime

from simorgh_shared.datasets.report import sections
from simorgh_shared.datasets.report.summary import summary_of
from simorgh_shared.pages.frame import framed
from simorgh_shared.pages.html import Markup, counted, joined, number, percent, size, tag
from simorgh_shared.schemas.statistics import DatasetStatistics, StatisticsSummary


@dataclass(frozen=True)
class Title:
    """Whose statistics these are."""

    name: str
    version: int
    made_at: datetime


def page(title: Title, found: DatasetStatistics) -> str:
    """The whole page as HTML."""
    summary = summary_of(found)
    body = tag("main", _header(title, found), _cards(found, summary), _verdict(summary), *_parts(found))
    return framed(f"{title.name}, version {title.version}", body)


def _header(title: Title, found: DatasetStatistics) -> Markup:
    splits = ", ".join(f"{split.split} {counted(split.rows, 'row')}" for split in found.splits)
    facts = f"Version {title.version} · {found.row_schema} · {splits} · made {title.made_at:%Y-%m-%d %H:%M} UTC"
    return tag(
        "header",
        tag("h1", tag("bdi", title.name, dir="auto")),
        tag("p", facts, class_="quiet"),
        tag("p", "SHA-256 ", tag("code", found.sha256), class_="quiet"),
    )


def _cards(found: DatasetStatistics, summary: StatisticsSummary) -> Markup:
    num_personal = sum(summary.personal_data.values())
    cards = [
        _card(number(found.rows), f"{'row' if found.rows == 1 else 'rows'}, {size(found.bytes)}"),
        _card(number(summary.characters), "characters"),
        _card(_about(found, summary.tokens), "tokens"),
        _card(percent(found.duplicates.share), "repeated word for word", "look" if summary.duplicate_rows else "good"),
        _card(
            percent(found.near_duplicates.share),
            "nearly repeated",
            "look" if summary.near_duplicate_rows else "good",
        ),
    ]
    if found.leakage is not None:
        leaking = found.leakage.exact.num_test_rows + found.leakage.near.num_test_rows
        share = max(found.leakage.exact.share, found.leakage.near.share)
        cards.append(_card(percent(share), "of test leaks from train", "bad" if leaking else "good"))
    cards.append(_card(number(num_personal), "personal data", "bad" if num_personal else "good"))
    return tag("div", joined(cards), class_="cards")


def _about(found: DatasetStatistics, tokens: int | None) -> str:
    if tokens is None:
        return "–"
    return f"≈ {number(tokens)}" if found.tokenizer is not None and found.tokenizer.is_sample else number(tokens)


def _card(figure: str, what: str, kind: str = "plain") -> Markup:
    return tag("div", tag("b", figure), tag("span", what), class_=kind)


def _verdict(summary: StatisticsSummary) -> Markup:
    if not summary.warnings:
        return tag("section", tag("h2", "Nothing stands out"), class_="verdict good")
    is_grave = any(summary.personal_data.values()) or bool(summary.leaking_test_rows)
    points = joined(tag("li", warning) for warning in summary.warnings)
    return tag("section", tag("h2", "Look at this before training"), tag("ul", points), class_=_verdict_class(is_grave))


def _verdict_class(is_grave: bool) -> str:
    return "verdict bad" if is_grave else "verdict"


def _parts(found: DatasetStatistics) -> list[Markup]:
    near = found.near_duplicates
    near_lead = (
        f"Rows that differ in little: in each field at least {percent(near.threshold)} of the letter trigrams "
        "of both are shared. Spaces, punctuation and the code points of ی and ک do not count. Found by MinHash, then "
        "compared."
    )
    if not near.is_complete:
        near_lead += " So many rows are alike that not every pair was compared: there may be more."
    equal_lead = (
        "Rows of the same letters, marks and words; code points and runs of spaces are brought to one form first."
    )
    return [
        sections.personal_data(found.personal_data),
        sections.leakage(found),
        sections.lengths(found),
        sections.languages(found),
        sections.duplicates("Rows that are repeated", equal_lead, found.duplicates),
        sections.duplicates("Rows that are nearly repeated", near_lead, near),
        sections.code_points(found.code_points),
        sections.longest(found),
        tag(
            "footer",
            f"Lines are those of the files that the dataset's download gives. Found in {number(found.seconds)} s.",
        ),
    ]
