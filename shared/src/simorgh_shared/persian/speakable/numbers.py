"""Numbers in Persian words: cardinals, ordinals, decimals, fractions and digits in groups; no search in text.

Digits come in as ASCII.
"""

import re
from collections.abc import Iterator

from simorgh_shared.persian.speakable.tables import words

_ONES = words("صفر یک دو سه چهار پنج شش هفت هشت نه ده یازده دوازده سیزده چهارده پانزده شانزده هفده هجده نوزده")
_TENS = words("- - بیست سی چهل پنجاه شصت هفتاد هشتاد نود")
_HUNDREDS = words("- صد دویست سیصد چهارصد پانصد ششصد هفتصد هشتصد نهصد")
_SCALES = ("", "هزار", "میلیون", "میلیارد", "تریلیون", "کوادریلیون", "کوینتیلیون", "سکستیلیون", "سپتیلیون", "اکتیلیون",
           "نونیلیون", "دسیلیون")  # fmt: skip
"""By thousands. 10¹² is تریلیون in today's news, though older books call it بیلیون."""
LONGEST_CARDINAL_DIGITS = 3 * len(_SCALES)
_LONGEST_FRACTION_READ_WHOLE = 3
"""More digits after the point than these are said one by one: سه ممیز یک چهار یک شش."""
_NUMBER = r"\d{1,3}(?:[,٬،]\d{3})+(?!\d)|\d+"
NUMBER = rf"(?:{_NUMBER})(?:[.٫]\d+|٬\d{{1,2}}(?!\d))?(?![.٫]?\d)"
"""A whole number or a decimal, thousands marked or not, as the inside of a regular expression."""
_MISTAKEN_POINT = re.compile(r"٬(?=\d{1,2}$)")
"""۱۶۹٬۸: the mark of thousands typed for the point."""
_MISTAKEN_MARK = re.compile(r"٫(?=000$)")
"""۴۰۰٫۰۰۰: the point typed for the mark of thousands."""
_MARKS_OF_THOUSANDS = re.compile("[,٬،]")


def cardinal(value: int) -> str:
    """هزار و چهارصد و سه for 1403; a thousand is هزار, not یک هزار, as it is said."""
    if value < 0:
        return f"منفی {cardinal(-value)}"
    if value == 0:
        return _ONES[0]
    groups: list[str] = []
    rest = value
    for scale in _SCALES:
        rest, group = divmod(rest, 1000)
        if group:
            groups.append(_scaled(group, scale))
        if not rest:
            return " و ".join(reversed(groups))
    return digit_by_digit(str(value))


def ordinal(value: int) -> str:
    """یکم، سوم، بیست و یکم، سی‌ام."""
    counted = cardinal(value)
    if counted.endswith("سه"):
        return f"{counted.removesuffix('سه')}سوم"
    if counted.endswith("سی"):
        return f"{counted}\u200cام"
    return f"{counted}م"


def fraction(numerator: int, denominator: int) -> str:
    """سه چهارم."""
    return f"{cardinal(numerator)} {ordinal(denominator)}"


def number(written: str) -> str:
    """What `NUMBER` matches, in words: thousands marks fall, a leading zero is said, a point is ممیز."""
    written = _MISTAKEN_POINT.sub(".", _MISTAKEN_MARK.sub("٬", written)).replace("٫", ".")
    whole, point, decimals = _MARKS_OF_THOUSANDS.sub("", written).partition(".")
    spoken = whole_number(whole)
    return f"{spoken} ممیز {_decimals(decimals)}" if point and decimals else spoken


def whole_number(digits: str) -> str:
    """A cardinal; with zeros before it, or longer than any scale word reaches, digit by digit (007)."""
    if len(digits) > LONGEST_CARDINAL_DIGITS:
        return digit_by_digit(digits)
    if digits[0] == "0" and len(digits) > 1:
        return digit_group(digits)
    return cardinal(int(digits))


def digit_by_digit(digits: str) -> str:
    """صفر صفر هفت."""
    return " ".join(_ONES[int(digit)] for digit in digits)


def digit_group(digits: str) -> str:
    """A part of a telephone or card number: zeros before it each, then up to three as one number, more in pairs."""
    zeros = len(digits) - len(digits.lstrip("0"))
    parts = ["صفر"] * zeros
    rest = digits[zeros:]
    if len(rest) <= 3 and rest:
        parts.append(cardinal(int(rest)))
    elif rest:
        parts += [digit_group(pair) for pair in _pairs(rest)]
    return " ".join(parts)


def _pairs(digits: str) -> Iterator[str]:
    """Pairs, the first part being three where their number is odd: هشتصد و هشتاد و هشت دوازده."""
    first = 3 if len(digits) % 2 else 2
    yield digits[:first]
    for start in range(first, len(digits), 2):
        yield digits[start : start + 2]


def _decimals(digits: str) -> str:
    if len(digits) > _LONGEST_FRACTION_READ_WHOLE:
        return digit_by_digit(digits)
    return digit_group(digits)


def _scaled(group: int, scale: str) -> str:
    if scale == "هزار" and group == 1:
        return scale
    return f"{_below_thousand(group)} {scale}".rstrip()


def _below_thousand(value: int) -> str:
    parts: list[str] = []
    if value >= 100:
        parts.append(_HUNDREDS[value // 100])
        value %= 100
    if value >= 20:
        parts.append(_TENS[value // 10])
        value %= 10
    if value:
        parts.append(_ONES[value])
    return " و ".join(parts)
