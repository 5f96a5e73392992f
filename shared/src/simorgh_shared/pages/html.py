"""Writes HTML in which every text is escaped: what is no `Markup` cannot become a tag."""

from collections.abc import Iterable
from html import escape


class Markup(str):
    """HTML that was written here."""

    __slots__ = ()


Content = str | int | float | Markup


def tag(name: str, *contents: Content, **attributes: str | int | float) -> Markup:
    """An element; a trailing underscore of an attribute's name is left out, others become hyphens."""
    named = (key.removesuffix("_").replace("_", "-") for key in attributes)
    written = "".join(f' {key}="{escape(str(value))}"' for key, value in zip(named, attributes.values(), strict=True))
    return Markup(f"<{name}{written}>{joined(contents)}</{name}>")


def joined(contents: Iterable[Content]) -> Markup:
    """Contents side by side."""
    return Markup("".join(one if isinstance(one, Markup) else escape(str(one)) for one in contents))


def said(text: str) -> Markup:
    """Something that a row says, in the direction of its letters."""
    return tag("bdi", text, class_="said", dir="auto")


def table(header: Iterable[Content], rows: Iterable[Iterable[Content]], numbers: Iterable[int] = ()) -> Markup:
    """A table; columns that are named in `numbers` stand to the right."""
    right = set(numbers)

    def cells(kind: str, contents: Iterable[Content]) -> Markup:
        return joined(
            tag(kind, one, **({"class_": "number"} if place in right else {})) for place, one in enumerate(contents)
        )

    head = tag("thead", tag("tr", cells("th", header)))
    body = tag("tbody", joined(tag("tr", cells("td", row)) for row in rows))
    return tag("div", tag("table", head, body), class_="scroll")


def number(value: int | float) -> str:
    """A number for people."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def counted(count: int, noun: str) -> str:
    """A number of things that form their plural with an s."""
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"


def percent(share: float) -> str:
    """A share for people; what is little is not called nothing."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %"


def size(num_bytes: int) -> str:
    """Bytes for people."""
    for unit, of in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if num_bytes >= of:
            return f"{num_bytes / of:.1f} {unit}"
    return f"{num_bytes} B"
