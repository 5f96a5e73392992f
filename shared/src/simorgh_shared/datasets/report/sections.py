"""The parts of the page, each from its part of the statistics."""

from collections.abc import Sequence

from simorgh_shared.datasets.report import charts
from simorgh_shared.pages.html import Content, Markup, counted, joined, number, percent, said, table, tag
from simorgh_shared.schemas.statistics import (
    CodePoints,
    DatasetStatistics,
    DuplicateGroup,
    Duplicates,
    FieldStatistics,
    Language,
    Leak,
    PersonalData,
    PersonalFound,
    PersonalKind,
    Place,
    Spread,
)

_LANGUAGES: dict[Language, tuple[str, str]] = {
    "persian": ("c0", "Persian"),
    "arabic": ("c1", "Arabic"),
    "arabic_script": ("c2", "Persian or Arabic"),
    "latin": ("c3", "Latin letters"),
    "other": ("c4", "Other scripts"),
    "mixed": ("c5", "Mixed scripts"),
    "none": ("c6", "No letters"),
}
KINDS: dict[PersonalKind, str] = {
    "national_id": "Iranian national ids",
    "phone": "Iranian phone numbers",
    "iban": "IBANs",
    "card": "Bank cards",
    "email": "E-mail addresses",
}
_QUANTILES = ("least", "p5", "p25", "p50", "p75", "p95", "p99", "most")
_HEADS = ("least", "5 %", "25 %", "median", "75 %", "95 %", "99 %", "most", "mean")


def section(title: str, lead: str, *contents: Markup) -> Markup:
    """A part of the page with what it is about."""
    return tag("section", tag("h2", title), tag("p", lead, class_="lead"), *contents)


def lengths(found: DatasetStatistics) -> Markup:
    """How long the fields are, in characters and in tokens."""
    note = found.tokenizer
    lead = "Each value of each field; “row” is all fields of a row together. Quantiles of characters are exact. "
    if note is not None:
        rows = f"{counted(note.counted_rows, 'row')}, one of so many" if note.is_sample else "all rows"
        lead += (
            f"Tokens are counted in {rows} by {note.name} ({number(note.vocab_size)} tokens in its vocabulary; "
            f"{number(note.characters_per_token)} characters a token). Another tokenizer gives other figures."
        )
    return section("How long the rows are", lead, *map(_field, found.fields))


def _field(field: FieldStatistics) -> Markup:
    drawn = [_drawn(field.characters, "characters")]
    rows = [_quantiles("characters", field.characters)]
    if field.tokens is not None:
        drawn.append(_drawn(field.tokens, "tokens"))
        rows.append(_quantiles("tokens", field.tokens))
    header = ("", "values", *_HEADS)
    return joined(
        [
            tag("h3", field.field),
            tag("div", joined(drawn), class_="pair"),
            table(header, rows, range(1, len(header))),
        ]
    )


def _drawn(spread: Spread, unit: str) -> Markup:
    return tag("div", tag("p", f"in {unit}", class_="quiet"), charts.histogram(spread, unit))


def _quantiles(unit: str, spread: Spread) -> list[Content]:
    values = spread.model_dump()
    return [unit, number(spread.count), *(number(values[name]) for name in _QUANTILES), number(spread.mean)]


def languages(found: DatasetStatistics) -> Markup:
    """Which languages the rows are in."""
    parts = [(*_LANGUAGES[one.language], one.share) for one in found.languages]
    lead = (
        "Told by letters alone, row by row: پ چ ژ گ ک ی speak for Persian, ة أ إ with ي ك for Arabic. A row without "
        "such letters is “Persian or Arabic”; other languages of these scripts are not told apart."
    )
    return section("Languages", lead, charts.shares(parts))


def duplicates(title: str, lead: str, found: Duplicates) -> Markup:
    """Groups of rows that say the same."""
    share, repeats = percent(found.share), counted(found.num_rows, "row")
    verb = "repeats" if found.num_rows == 1 else "repeat"
    figures = f"{repeats} ({share}) {verb} another one, in {counted(found.num_groups, 'group')}."
    if not found.groups:
        return section(title, lead, tag("p", "None were found."))
    rows = [_group(group) for group in found.groups]
    header = ("rows", "alike", "where", "what they say")
    return section(title, lead, tag("p", figures), _first_of(len(rows), found.num_groups), table(header, rows, (0, 1)))


def _group(group: DuplicateGroup) -> list[Content]:
    shown = joined(said(excerpt) for excerpt in group.excerpts)
    return [number(group.num_rows), percent(group.similarity), lines(group.places, group.num_rows), shown]


def leakage(found: DatasetStatistics) -> Markup:
    """What of the test split stands in the train split."""
    title = "Leaks from train into test"
    lead = (
        "A test row that training has seen measures memory, not skill. Exact: a field has the letters and digits of a "
        "field in train. Near: the whole row is a near duplicate of a train row."
    )
    if found.leakage is None:
        return section(
            title, lead, tag("p", "There is no test split. Rows that training holds out are chosen by groups.")
        )
    parts = []
    for name, leaks in (("Exact", found.leakage.exact), ("Near", found.leakage.near)):
        by_field = ", ".join(f"{field}: {number(count)}" for field, count in leaks.by_field.items())
        more = f" ({by_field})" if by_field else ""
        figures = f"{counted(leaks.num_test_rows, 'test row')}, {percent(leaks.share)} of all{more}."
        parts += [tag("h3", name), tag("p", figures if leaks.num_test_rows else "None were found.")]
        if leaks.pairs:
            header = ("test line", "train line", "field", "alike", "test row, and train row below it")
            parts += [
                _first_of(len(leaks.pairs), leaks.num_test_rows),
                table(header, map(_leak, leaks.pairs), (0, 1, 3)),
            ]
    return section(title, lead, *parts)


def _leak(leak: Leak) -> list[Content]:
    both = joined([said(leak.excerpt), said(leak.train_excerpt)])
    return [number(leak.test.line), number(leak.train.line), ", ".join(leak.fields), percent(leak.similarity), both]


def code_points(found: CodePoints) -> Markup:
    """Code points that Persian text should not hold."""
    lead = (
        "Arabic letters, digits and presentation forms look like Persian ones and are other tokens to a model. "
        "Training with normalise brings them to one spelling. In Arabic text they are right."
    )
    if not found.code_points:
        return section("Mixed code points", lead, tag("p", "None were found."))
    some, both = counted(found.num_rows, "row"), counted(found.num_mixed_rows, "row")
    figures = f"Some are in {some}; in {both} one letter or digit is written in both ways."
    rows = [
        [
            tag("code", one.code_point),
            one.name.capitalize(),
            tag("code", one.becomes or "goes away"),
            number(one.count),
            number(one.rows),
            lines(one.places[:10], one.rows),
        ]
        for one in found.code_points
    ]
    mixed = [tag("h3", "Rows with both"), lines(found.mixed, found.num_mixed_rows)] if found.mixed else []
    header = ("code point", "name", "becomes", "times", "rows", "where")
    return section("Mixed code points", lead, tag("p", figures), table(header, rows, (3, 4)), *mixed)


def longest(found: DatasetStatistics) -> Markup:
    """The longest rows."""
    rows = [[number(row.characters), lines([row], 1), said(row.excerpt)] for row in found.longest]
    lead = "A row longer than the sequence length of a run is cut into pieces."
    return section("Longest rows", lead, table(("characters", "where", "how it begins"), rows, (0,)))


def personal_data(found: PersonalData) -> Markup:
    """What seems to belong to persons."""
    lead = (
        "Found by form and checksum: one in eleven ten-digit numbers passes as a national id, one in ten sixteen-digit "
        "numbers as a card. What is shown here is masked; what a model learns is not."
    )
    counts = [[KINDS[kind.kind], number(kind.count), number(kind.rows)] for kind in found.kinds]
    parts = [table(("", "found", "rows"), counts, (1, 2))]
    for kind in found.kinds:
        if kind.found:
            parts += [tag("h3", KINDS[kind.kind]), _shown(kind.found, kind.count)]
    if found.num_invalid_national_ids:
        parts.append(tag("div", *_invalid_ids(found), class_="quiet"))
    return section("Personal data", lead, *parts)


def _invalid_ids(found: PersonalData) -> list[Markup]:
    """Ids with a slip in them, or other numbers: to be looked at, and no finding."""
    count = counted(found.num_invalid_national_ids, "number")
    parts = [tag("h3", "Ten digits like a national id, wrong checksum"), tag("p", f"{count}; not counted above.")]
    if found.invalid_national_ids:
        parts.append(_shown(found.invalid_national_ids, found.num_invalid_national_ids))
    return parts


def _shown(found: Sequence[PersonalFound], count: int) -> Markup:
    rows = [[lines([one], 1), one.field, said(one.excerpt)] for one in found]
    return joined([_first_of(len(rows), count), table(("where", "field", "masked, with what stands around it"), rows)])


def lines(places: Sequence[Place], num_rows: int) -> Markup:
    """Lines by split, and whether there are more."""
    named = []
    for split in ("train", "test"):
        numbers = ", ".join(number(place.line) for place in places if place.split == split)
        named += [f"{split}: {numbers}"] if numbers else []
    more = " …" if num_rows > len(places) else ""
    return tag("div", "; ".join(named) + more, class_="lines")


def _first_of(shown: int, total: int) -> Markup:
    return tag("p", f"The first {shown} of {number(total)}:", class_="quiet") if total > shown else Markup("")
