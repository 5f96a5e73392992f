"""Digits that name and do not count: telephone, card and account numbers, said in the groups people say them in."""

import re

from simorgh_shared.persian.speakable.numbers import digit_by_digit, digit_group
from simorgh_shared.persian.speakable.rules import Rule, context
from simorgh_shared.persian.speakable.tables import words

_BEGINS = r"(?<![\d.,/:٫٬])"
_ENDS = r"(?![\d/]|[.,:٫٬]\d)"
_PAUSE = "، "
_DIGITS = re.compile(r"\d+")

_CARD = re.compile(
    rf"{_BEGINS}(?!\d{{10,}}000000{_ENDS})(\d{{4}})([ -]?)(\d{{4}})\2(\d{{4}})\2(\d{{4}}){_ENDS}(?![ -]\d)"
)
_ACCOUNT = re.compile(r"(?<![A-Za-z0-9])([A-Z]{2}) ?(\d{2}(?: ?\d){10,28})(?![A-Za-z0-9])")
_SHEBA_WITHOUT_COUNTRY = re.compile(rf"{_BEGINS}(?<=شبا )(\d{{24}}){_ENDS}")
_BETWEEN = r"(?:[^\d\n]{0,12}?)"
_NATIONAL = re.compile(rf"((?:کد ?ملی|شناسهٔ? ملی|شمارهٔ? ملی){_BETWEEN})(\d{{10,11}}){_ENDS}")
_NATIONAL_WRITTEN = re.compile(rf"{_BEGINS}(\d{{3}})-(\d{{6}})-(\d){_ENDS}")
_POSTAL = re.compile(rf"(کد ?پستی{_BETWEEN})(\d{{5}})-?(\d{{5}}){_ENDS}")
_POSTAL_WRITTEN = re.compile(rf"{_BEGINS}(\d{{5}})-(\d{{5}}){_ENDS}")
_SECRET = re.compile(
    r"((?:کد (?:تأیید|تایید|رهگیری|پیگیری|فعال‌?سازی|امنیتی)|رمز(?: عبور| دوم| پویا)?"
    r"|شمارهٔ? (?:شناسنامه|پیگیری)|(?:شمارهٔ? )?حساب)"
    rf"{_BETWEEN})(?<!\d)(\d{{4,20}}){_ENDS}"
)
_INTERNATIONAL = re.compile(rf"(?<![\w+])(\+|00)(\d{{1,3}})((?:[ -]?\(?\d++\)?+)++){_ENDS}")
_MOBILE = re.compile(rf"{_BEGINS}(?<![\d-])(09\d\d)[ -]?(\d{{3}})[ -]?(\d\d)[ -]?(\d\d){_ENDS}")
_SUBSCRIBER = r"\d{4}[ -]?\d{4}|\d{3}[ -]?\d{4}|\d{4}[ -]\d{2}[ -]\d{2}"
_LANDLINE = re.compile(rf"{_BEGINS}(?<![\d-])\(?(0[1-8]\d)\)?[ -]?({_SUBSCRIBER}){_ENDS}")
_LANDLINE_AREA = re.compile(rf"{_BEGINS}(?<![\d-])\(?(0[1-8]\d{{2}})\)?[ -](\d{{3,4}})[ -]?(\d{{4}}){_ENDS}")
_LOCAL = re.compile(rf"{_BEGINS}(\d{{3,4}})[ -]?(\d{{4}}){_ENDS}")
_TELEPHONE_WORD = re.compile("تلفن|شمارهٔ? تماس|تماس|فکس|نمابر|دورنگار|موبایل|همراه|پیامک")
_LOCAL_WORD_WITHIN = 24
_ADDRESS = re.compile(rf"{_BEGINS}(\d{{1,3}})\.(\d{{1,3}})\.(\d{{1,3}})\.(\d{{1,3}}){_ENDS}")
_LETTERS_OF_COUNTRY = {"IR": "آی آر"}
_TWO_DIGIT_CODES = frozenset(
    words(
        "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86"
        " 90 91 92 93 94 95 98"
    )
)


def groups(written: str) -> str:
    """The groups a number is written in, longer ones than four digits cut as they are said."""
    parts = [part for group in _DIGITS.findall(written) for part in _cut(group)]
    return _PAUSE.join(digit_group(part) for part in parts)


def _cut(group: str) -> list[str]:
    """8 digits are 4 and 4, 7 are 3 and 4, 10 are 3, 3 and 4: the last four are always one group."""
    if len(group) <= 4:
        return [group]
    first, last = group[:-4], group[-4:]
    return [*(_threes(first) if len(first) > 4 else [first]), last]


def _threes(group: str) -> list[str]:
    head = len(group) % 3
    return ([group[:head]] if head else []) + [group[start : start + 3] for start in range(head, len(group), 3)]


def _account(found: re.Match[str]) -> str:
    digits = found[2].replace(" ", "")
    if not 14 <= len(digits) <= 30:
        return found.group()
    country = _LETTERS_OF_COUNTRY.get(found[1], " ".join(found[1]))
    return _PAUSE.join([country, digit_group(digits[:2]), *_fours(digits[2:])])


def _fours(digits: str) -> list[str]:
    return [digit_group(digits[start : start + 4]) for start in range(0, len(digits), 4)]


def _by_digit(*parts: str) -> str:
    return _PAUSE.join(digit_by_digit(part) for part in parts)


def _secret(found: re.Match[str]) -> str:
    digits = found[2]
    return found[1] + _by_digit(*(_threes(digits) if len(digits) > 4 else [digits]))


def _international(found: re.Match[str]) -> str:
    rest = found[3]
    num_digits = sum(map(len, _DIGITS.findall(rest)))
    if not 7 <= num_digits + len(found[2]) <= 15:
        return found.group()
    sign = "مثبت" if found[1] == "+" else "صفر صفر"
    country, rest = _country(found[2], rest)
    return f"{sign} {digit_group(country)}{_PAUSE}{groups(rest)}"


def _country(code: str, rest: str) -> tuple[str, str]:
    """Where no blank tells the country's code, Iran's and those of one or two digits are known by their beginning."""
    if rest[:1].isdigit():
        length = 1 if code[0] in "17" else 2 if code[:2] in _TWO_DIGIT_CODES else 3
        return code[:length], code[length:] + rest
    return code, rest


def _local(found: re.Match[str]) -> str:
    if not _TELEPHONE_WORD.search(context(found, _LOCAL_WORD_WITHIN)):
        return found.group()
    return groups(f"{found[1]} {found[2]}")


def _internet_address(found: re.Match[str]) -> str:
    parts = found.groups()
    if any(int(part) > 255 for part in parts):
        return found.group()
    return " نقطه ".join(digit_group(part) if part[0] != "0" else digit_by_digit(part) for part in parts)


RULES = (
    Rule(_ACCOUNT, _account),
    Rule(_SHEBA_WITHOUT_COUNTRY, lambda found: _PAUSE.join([digit_group(found[1][:2]), *_fours(found[1][2:])])),
    Rule(_CARD, lambda found: _PAUSE.join(digit_group(found[part]) for part in (1, 3, 4, 5))),
    Rule(_NATIONAL, lambda found: found[1] + _by_digit(found[2][:3], found[2][3:6], found[2][6:])),
    Rule(_NATIONAL_WRITTEN, lambda found: _by_digit(*found.groups())),
    Rule(_POSTAL, lambda found: found[1] + _by_digit(found[2], found[3])),
    Rule(_POSTAL_WRITTEN, lambda found: _by_digit(*found.groups())),
    Rule(_SECRET, _secret),
    Rule(_ADDRESS, _internet_address),
    Rule(_INTERNATIONAL, _international),
    Rule(_MOBILE, lambda found: groups(f"{found[1]} {found[2]} {found[3]}{found[4]}")),
    Rule(_LANDLINE, lambda found: groups(f"{found[1]} {found[2]}")),
    Rule(_LANDLINE_AREA, lambda found: groups(" ".join(found.groups()))),
    Rule(_LOCAL, _local),
)
