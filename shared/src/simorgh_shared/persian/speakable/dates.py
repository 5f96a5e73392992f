"""Dates in words, by the Jalali and the Gregorian calendar; what is no date of either stays as numbers."""

import datetime
import re

import jdatetime

from simorgh_shared.persian.alphabet import WORD
from simorgh_shared.persian.speakable.numbers import cardinal, ordinal
from simorgh_shared.persian.speakable.rules import NO_LETTER, Rule, context
from simorgh_shared.persian.speakable.tables import any_of, table, words

_JALALI = words("فروردین اردیبهشت خرداد تیر مرداد شهریور مهر آبان آذر دی بهمن اسفند")
_GREGORIAN = words("ژانویه فوریه مارس آوریل مه ژوئن ژوئیه اوت سپتامبر اکتبر نوامبر دسامبر")
_OTHER_MONTHS = words(
    "امرداد ژوییه جولای آگوست آپریل جون سپتامبر محرم ربیع‌الاول ربیع‌الثانی جمادی‌الاول جمادی‌الثانی رجب شعبان رمضان شوال"
    " ذی‌القعده ذی‌الحجه ذیقعده ذیحجه ذی‌قعده ذی‌حجه"
)
_ENGLISH = words("january february march april may june july august september october november december")
_MONTH_OF_ENGLISH = {
    name: month
    for number, (english, month) in enumerate(zip(_ENGLISH, _GREGORIAN, strict=True))
    for name in {english, english[:3], "sept" if number == 8 else english}
}
_WEEKDAYS = table("1 یکشنبه، 2 دوشنبه، 3 سه‌شنبه، 4 چهارشنبه، 5 پنجشنبه")
_JALALI_YEARS = range(1200, 1500)
_GREGORIAN_YEARS = range(1500, 2200)

_PART = r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}"
_BEGINS = r"(?<![\d/.:,٫٬-])"
_ENDS = r"(?![\d/]|[.:,٫٬-]\d)"
_CLOCK_OF_ISO = re.compile(r"(?<=\d-\d\d)T(\d\d:\d\d(?::\d\d)?)(?:\.\d+)?Z?(?![\w:])")
_NUMERIC = re.compile(rf"{_BEGINS}(\d{{1,4}})([/.-])(\d{{1,2}})\2(\d{{1,4}}){_ENDS}")
_SPAN = re.compile(rf"{_BEGINS}({_PART}) ?[-–—] ?({_PART}){_ENDS}")
_MONTH_OF_YEAR = re.compile(rf"{_BEGINS}(1[2-4]\d\d|20\d\d)/(\d\d?){_ENDS}")
_PERSIAN_MONTH = (
    rf"(?:(?:{any_of([*_JALALI, *_GREGORIAN, *_OTHER_MONTHS])})(?:\u200c?ماه)?{NO_LETTER}"
    r"|(?:می|صفر)(?= ?\d{3,4}))"  # without a year these are a particle and a nought
)
_DAY = r"(0?[1-9]|[12]\d|3[01])"
_DAY_OF_MONTH = re.compile(
    rf"{_BEGINS}(?:{_DAY}( و | تا | ?[-–] ?|، ?))?{_DAY}(?:[\u200c ]?ا?م)?[ -]?(?:ماه )?({_PERSIAN_MONTH})"
)
_SPAN_OF_NAMED = re.compile(rf"(?:(?<=[\d])|(?<=[{WORD}])) ?[–—-] ?(?=(?:0?[1-9]|[12]\d|3[01]) (?:{_PERSIAN_MONTH}))")
_ENGLISH_MONTH = rf"({any_of(_MONTH_OF_ENGLISH)})\b\.?"
_DAY_THEN_ENGLISH = re.compile(
    rf"(?<![\w.]){_DAY}(?:st|nd|rd|th)?(?: of)?[ -]{_ENGLISH_MONTH}(?:,? (?:of )?(\d{{4}})(?!\d))?", re.IGNORECASE
)
_ENGLISH_THEN_DAY = re.compile(
    rf"(?<![\w.]){_ENGLISH_MONTH} {_DAY}(?:st|nd|rd|th)?(?![\d:])(?:,? (\d{{4}})(?!\d))?", re.IGNORECASE
)
_NAMED_DATE_ENDS = re.compile(rf"(?:{any_of([*_JALALI, *_GREGORIAN, *_OTHER_MONTHS])})(?: \d{{2,4}})?$")
_WEEKDAY = re.compile(rf"(?<![\d.,])([1-5])[ \u200c-]?شنبه(?![{WORD}])|(?<![{WORD}])(?:پنج|سه)[ ]شنبه")


def _spoken(year: int, month: int, day: int) -> str | None:
    """The date in words, None where neither calendar has it."""
    try:
        if year in _JALALI_YEARS:
            jdatetime.date(year, month, day)
            return f"{ordinal(day)} {_JALALI[month - 1]} {cardinal(year)}"
        if year in _GREGORIAN_YEARS:
            datetime.date(year, month, day)
            return f"{ordinal(day)} {_GREGORIAN[month - 1]} {cardinal(year)}"
    except ValueError:
        return None
    return None


def _short_year(year: int, month: int, day: int) -> str | None:
    """۹۵/۰۳/۱۲ has a year of the Jalali thirteen hundreds, which nobody says; a smaller first part may be a day."""
    words_of_date = _spoken(1300 + year, month, day) if year > 31 else None
    return words_of_date and f"{ordinal(day)} {_JALALI[month - 1]} {cardinal(year)}"


def _numeric(found: re.Match[str]) -> str:
    first, second, third = (int(part) for part in found.group(1, 3, 4))
    if len(found[1]) == 4:
        spoken = _spoken(first, second, third)
    elif len(found[4]) == 4:
        # Iran writes the day first; the other order is taken only where that makes no date.
        spoken = _spoken(third, second, first) or _spoken(third, first, second)
    else:
        spoken = _short_year(first, second, third) if found[2] == "/" else None
    return spoken or found.group()


def _month_of_year(found: re.Match[str]) -> str:
    year, month = int(found[1]), int(found[2])
    if not 1 <= month <= 12:
        return found.group()
    names = _JALALI if year in _JALALI_YEARS else _GREGORIAN
    return f"{names[month - 1]} {cardinal(year)}"


def _day_of_month(found: re.Match[str]) -> str:
    between = found[2]
    if between and between.strip() in ("-", "–"):
        between = " تا "
    first = f"{ordinal(int(found[1]))}{between}" if found[1] else ""
    return f"{first}{ordinal(int(found[3]))} {found[4]}"


def _is_date_before(found: re.Match[str]) -> bool:
    return _NAMED_DATE_ENDS.search(context(found, 24)) is not None


def _english(day: str, month: str, year: str | None) -> str:
    spoken = f"{ordinal(int(day))} {_MONTH_OF_ENGLISH[month.lower()]}"
    return f"{spoken} {cardinal(int(year))}" if year else spoken


def _weekday(found: re.Match[str]) -> str:
    return _WEEKDAYS[found[1]] if found[1] else found.group().replace("پنج ", "پنج").replace("سه ", "سه\u200c")


RULES = (
    Rule(_CLOCK_OF_ISO, lambda found: f" ساعت {found[1]}"),
    Rule(_SPAN, lambda found: f"{found[1]} تا {found[2]}"),
    Rule(_NUMERIC, _numeric),
    Rule(_MONTH_OF_YEAR, _month_of_year),
    Rule(_DAY_THEN_ENGLISH, lambda found: _english(found[1], found[2], found[3])),
    Rule(_ENGLISH_THEN_DAY, lambda found: _english(found[2], found[1], found[3])),
    Rule(_SPAN_OF_NAMED, lambda found: "تا" if _is_date_before(found) else found.group()),
    Rule(_DAY_OF_MONTH, _day_of_month),
    Rule(_WEEKDAY, _weekday),
)
