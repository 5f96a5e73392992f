"""Owns how a dataset's findings are told on a line each: how many, and the first lines they stand in."""

from collections.abc import Iterable, Sequence
from typing import Any

_MOST_LINES = 5
_KINDS = {
    "national_id": "national id",
    "phone": "phone number",
    "iban": "IBAN",
    "card": "bank card",
    "email": "e-mail address",
}


def findings(known: dict[str, Any]) -> dict[str, str]:
    """What was found in a version, by its kind."""
    personal = known["personal_data"]
    return {
        "duplicates": f"{_repeats(known['duplicates'])}, and {_repeats(known['near_duplicates'], 'nearly')}",
        "leaks": _leaks(known["leakage"]) if known["leakage"] is not None else "",
        "code points": _foreign(known["code_points"]),
        "personal data": ", ".join(_personal(personal)) or "none found",
        "like ids": _invalid_ids(personal),
    }


def counted(count: int, noun: str) -> str:
    """A number of things."""
    if count == 1:
        return f"{count} {noun}"
    return f"{count:,} {noun}{'es' if noun.endswith('s') else 's'}"


def _repeats(found: dict[str, Any], how: str = "") -> str:
    places = [place for group in found["groups"] for place in group["places"]]
    count = f"{found['num_rows']:,} {how}" if how else counted(found["num_rows"], "row")
    return count + _lines(places, is_all=len(places) == found["num_rows"] + found["num_groups"])


def _leaks(found: dict[str, Any]) -> str:
    exact, near = found["exact"], found["near"]
    return (
        f"{counted(exact['num_test_rows'], 'test row')}{_pairs(exact)}, {near['num_test_rows']:,} nearly{_pairs(near)}"
    )


def _pairs(leaks: dict[str, Any]) -> str:
    shown = [f"test {leak['test']['line']} = train {leak['train']['line']}" for leak in leaks["pairs"][:_MOST_LINES]]
    return _in_brackets(", ".join(shown), is_all=len(shown) == leaks["num_test_rows"])


def _foreign(found: dict[str, Any]) -> str:
    # Most lists hold the same rows: each of them is told once, in the order of the file.
    known = {_key(place): place for point in found["code_points"] for place in point["places"]}
    places = sorted(known.values(), key=lambda place: (place["split"] != "train", place["line"]))
    return f"{counted(found['num_rows'], 'row')} with Arabic ones" + _lines(
        places, is_all=len(places) == found["num_rows"]
    )


def _personal(found: dict[str, Any]) -> Iterable[str]:
    for kind in found["kinds"]:
        if kind["count"]:
            lines = _lines(kind["found"], is_all=len(kind["found"]) == kind["count"])
            yield counted(kind["count"], _KINDS[kind["kind"]]) + lines


def _invalid_ids(found: dict[str, Any]) -> str:
    count, shown = found["num_invalid_national_ids"], found["invalid_national_ids"]
    if not count:
        return ""
    return f"{counted(count, 'ten-digit number')} with a wrong checksum" + _lines(shown, is_all=len(shown) == count)


def _lines(places: Sequence[dict[str, Any]], *, is_all: bool) -> str:
    """The first lines by split; `is_all` where the list leaves none out."""
    once = {_key(place): place for place in places}
    first = list(once.values())[:_MOST_LINES]
    named = []
    for split in ("train", "test"):
        numbers = ", ".join(f"{place['line']}" for place in first if place["split"] == split)
        named += [f"{split} {numbers}"] if numbers else []
    return _in_brackets("; ".join(named), is_all=is_all and len(first) == len(once))


def _key(place: dict[str, Any]) -> tuple[str, int]:
    return place["split"], place["line"]


def _in_brackets(text: str, *, is_all: bool) -> str:
    return f" ({text}{'' if is_all else ' …'})" if text else ""
