"""What of a row is shown in a report: its beginning or what stands around a place, masked."""

from collections.abc import Sequence

from simorgh_shared.datasets.statistics.personal import Found, masked
from simorgh_shared.datasets.statistics.reading import Field

_CHARACTERS = 160
_AROUND = 40
_LOOKED_AT = 600  # no more of a long text is searched for what to mask


def excerpt(fields: Sequence[Field]) -> str:
    """The beginning of what a row says, its fields side by side."""
    room = max(24, _CHARACTERS // max(1, min(len(fields), 4)))
    return " | ".join(_shortened(masked(text[:_LOOKED_AT]), room) for _, text in fields[:4])


def around(text: str, found: Found, others: list[Found]) -> str:
    """What stands around something, masked with all others that are to be."""
    begin, end = max(0, found.begin - _AROUND), min(len(text), found.end + _AROUND)
    within = [one for one in others if one.end > begin and one.begin < end]
    begin, end = min([begin, *(one.begin for one in within)]), max([end, *(one.end for one in within)])
    shifted = [one._replace(begin=one.begin - begin, end=one.end - begin) for one in within]
    shown = " ".join(masked(text[begin:end], shifted).split())
    return f"{'…' if begin else ''}{shown}{'…' if end < len(text) else ''}"


def _shortened(text: str, room: int) -> str:
    plain = " ".join(text[: 2 * room].split())
    return plain if len(plain) <= room and len(text) <= 2 * room else f"{plain[:room].rstrip()}…"
