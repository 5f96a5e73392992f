"""Times of day and lengths of time in words."""

import re

from simorgh_shared.persian.alphabet import WORD
from simorgh_shared.persian.speakable.numbers import cardinal
from simorgh_shared.persian.speakable.rules import NO_LETTER, Rule

_TIME = r"(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-5]\d)?"
_BEGINS = r"(?<![\d:./])"
_ENDS = r"(?![\d:]|[./]\d)"
_HALF_OF_DAY = re.compile(rf"(?<=\d) ?(?:(a\.?m\b\.?)|(p\.?m\b\.?)|(ق\.ظ\.?)|(ب\.ظ\.?)){NO_LETTER}", re.IGNORECASE)
_SPAN = re.compile(rf"{_BEGINS}({_TIME}) ?[-–—] ?({_TIME}){_ENDS}")
_PART_OF_DAY = f"(?= ?(?:صبح|بامداد|ظهر|عصر|شب|غروب|بعدازظهر|بعد از ظهر|قبل از ظهر|نیمه‌شب|به وقت)(?![{WORD}]))"
_CLOCK = re.compile(rf"{_BEGINS}(\d\d?):([0-5]\d)(?::([0-5]\d))?{_ENDS}({_PART_OF_DAY})?")


def _half_of_day(found: re.Match[str]) -> str:
    return ("صبح", "بعدازظهر", "قبل از ظهر", "بعد از ظهر")[(found.lastindex or 1) - 1]


def _clock(found: re.Match[str]) -> str:
    hour, minute, second = int(found[1]), int(found[2]), int(found[3] or 0)
    if hour > 24:
        return found.group()
    parts = [cardinal(hour)]
    if minute:
        parts.append(f"{cardinal(minute)} دقیقه")
    if second:
        parts.append(f"{cardinal(second)} ثانیه")
    is_named = found[4] is not None and (minute or second)
    return " و ".join(parts) + ("\u0654" if is_named else "")


RULES = (
    Rule(_HALF_OF_DAY, _half_of_day),
    Rule(_SPAN, lambda found: f"{found[1]} تا {found[2]}"),
    Rule(_CLOCK, _clock),
)
