"""Numbers as they stand in sums and sentences: ordinals, fractions, ranges, versions, signs, any number."""

import re

from simorgh_shared.persian.alphabet import WORD
from simorgh_shared.persian.speakable.numbers import NUMBER, cardinal, digit_by_digit, fraction, number, ordinal
from simorgh_shared.persian.speakable.rules import AMOUNT, NUMBER_BEGINS, Rule, context
from simorgh_shared.persian.speakable.tables import any_of

_DASH = "[-–—‑−]"
_HALVES = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5",
           "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8"}  # fmt: skip
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SIGNS = {
    "+": "به‌علاوهٔ", "×": "ضرب در", "÷": "تقسیم بر", "=": "مساوی", "±": "مثبت منفی", "≈": "تقریباً مساوی", "≠": "نامساوی",
    "<": "کوچک‌تر از", ">": "بزرگ‌تر از", "≤": "کوچک‌تر یا مساوی", "≥": "بزرگ‌تر یا مساوی", "√": "جذر", "∞": "بی‌نهایت",
    "∑": "مجموع", "∫": "انتگرال", "∆": "دلتا", "∈": "عضو", "∪": "اجتماع", "∩": "اشتراک",
}  # fmt: skip

_CENTURY = re.compile(rf"(?<![{WORD}])((?:قرن|سدهٔ?) )([1-9]|[12]\d)(?![\d.,/:٫٬%٪-]| ?[{WORD}]*م(?![{WORD}])| تا)")
_ORDINAL = re.compile(rf"(?<![\d.,٫٬/:-])(\d{{1,36}})(?:[\u200c -]?((?:اُ?)?مین|اُ?م)|م)(?![{WORD}]|\.[{WORD}])")
_ENGLISH_ORDINAL = re.compile(r"(?<![\w.,])(\d{1,12})(?:st|nd|rd|th)\b", re.IGNORECASE)
_DECADE = re.compile(r"(?<![\w.,])(\d{1,3}0)['’]?s\b")
_MIXED = re.compile(rf"(?:{NUMBER_BEGINS}(\d{{1,36}}) ?)?([{''.join(_HALVES)}])")
_MIXED_WRITTEN = re.compile(rf"{NUMBER_BEGINS}(\d{{1,3}}) ([1-9]\d?)[/⁄]([1-9]\d?)(?![\d/.,])")
_SLASHED = re.compile(rf"{NUMBER_BEGINS}(?<!-)(\d+(?:[/⁄]\d+)+)(?![\d/]|[.,]\d)(\u200c? ?[%٪]?(?:[{WORD}]+)?)")
_MEASURED = re.compile(
    "الی|تا|هزار|میلیون|میلیارد|تریلیون|درصد|برابر|متر|کیلو|سانتی|میلی|گرم|تن|لیتر|ساعت|دقیقه|ثانیه|سال|ماه|روز|نفر|دلار|یورو|تومان|ریال|درجه|مایل"
    "|هکتار|وات|ولت|واحد|امتیاز|نمره|ریشتر|اینچ|پوند|اونس|بشکه|گل|مگا|گیگا|مرتبه"
)
_VERSION = re.compile(r"(?<![\d.,/:])v?(\d+(?:\.\d+){2,})(?![\d/]|\.\d)")
_OF_VERSION = re.compile(r"(?:(?:نسخهٔ?|نسخهٔ? ی|ورژن|ویرایش|نگارش|version|[A-Za-z+#]{2,}) |\b[vV]\.?)$", re.IGNORECASE)
_SHORT_VERSION = re.compile(rf"(?<![\d.,/:])(\d+)\.(\d+)(?!\d|[.,/]\d| ?(?:{_MEASURED.pattern}))")
_SPACED_MINUS = re.compile(r"(?<=\d) ?[−] ?(?=\d)|(?<=\d) - (?=\d+(?: [-+×÷] \d+){0,8} ?=)")
_TIMES_TEN = re.compile(r"(?<=[\d)]) ?[×*] ?(?=10 ?(?:\^|به توان|[⁰¹²³⁴-⁹⁻]))|(?<=\d)[×*](?=\d+ ?=)")
_TIMES = re.compile(r"(?<=[\d)]) [×*xX] (?=[\d(])")
_BY = re.compile(r"(?<=\d)[×xX*](?=\d)|(?<=\d) [×xX*] (?=\d+(?:[.٫]\d+)? ?(?:[cm]?m\b|متر|سانتی|میلی|پیکسل|اینچ|px\b))")
_POWER = re.compile("(?<=[0-9A-Za-zα-ω)])([⁰¹²³⁴-⁹⁻]+)")
_CARET = re.compile(r"(?<=[\w)])\^[({]?(?=-?\w)")
_SPAN = re.compile(rf"({AMOUNT})(?: ?{_DASH} ?|_)(?={NUMBER})")
_SEASON = re.compile(rf"{NUMBER_BEGINS}(?<!-)(\d\d) ?{_DASH} ?((?:1[2-489]|20)\d\d)(?![\d/]|[.,:-]\d)")
_CHAIN = re.compile(rf"{NUMBER_BEGINS}(\d+(?: ?{_DASH} ?\d+){{2,}})(?![\d/]|[.,:]\d)")
_SCORE_WORDS = re.compile("نتیجه|نتایج|حساب|شکست|پیروز|برد |برنده|بازی|مساوی|باخت|غلبه|صفر")
_SCORE_WORDS_WITHIN = 60
_RATIO = re.compile(r"(?<=\d) ?: ?(?=\d)")
_NEGATIVE = re.compile(rf"(?<![\w)%]){_DASH}(?=[\d.√∞])")
_POSITIVE = re.compile(r"(?<![\w)%])\+(?=\d)")
_NEGATIVE_BEHIND = re.compile(r"(?<=\d)-(?![\w-])")
_NUMBER_SIGN = re.compile(r"(?:شمارهٔ? )?(?:#|№|\bNo\.? ?)(?=\d)", re.IGNORECASE)
_ABOUT = re.compile(r"~ ?(?=\d)")
_OVER = re.compile(r"(?<=\d) / (?=\d)")
_ANY_SIGN = re.compile(f"({any_of(_SIGNS)})")
_ANY_NUMBER = re.compile(AMOUNT)
_ANY_DIGITS = re.compile(r"\d+")


def _ordinal(found: re.Match[str]) -> str:
    spoken = ordinal(int(found[1]))
    return f"{spoken}ین" if (found[2] or "").endswith("ین") else spoken


def _mixed(whole: str | None, numerator: int, denominator: int) -> str:
    is_half = (numerator, denominator) == (1, 2)
    part = "نیم" if is_half else fraction(numerator, denominator)
    return f"{cardinal(int(whole))} و {part}" if whole else part


def _vulgar(found: re.Match[str]) -> str:
    numerator, _, denominator = _HALVES[found[2]].partition("/")
    return _mixed(found[1], int(numerator), int(denominator))


def _slashed(found: re.Match[str]) -> str:
    """In Persian type a slash is often the point of a decimal: before a measure, after a nought, over a smaller one."""
    parts = re.split("[/⁄]", found[1])
    behind = found[2] if found[2][:1] in ("", " ", "\u200c") else f" {found[2]}"
    if len(parts) > 2:
        return "، ".join(parts) + behind
    upper, lower = parts
    if lower == "0" and upper.strip("0"):
        upper, lower = lower, upper  # ۷۷/۰ was typed from right to left: no fraction is over nought
    if _are_neighbouring_years(upper, lower):
        return f"{upper} تا {lower}{behind}"
    if lower[0] == "0" or upper == "0" or _MEASURED.match(behind.strip(" \u200c")) or behind.strip()[:1] in ("%", "٪"):
        return f"{number(f'{upper}.{lower}')}{behind}"
    if int(upper[:40]) > int(lower[:40]) and len(lower) <= 2:
        return f"{number(f'{upper}.{lower}')}{behind}"
    if len(upper) <= 2 and len(lower) <= 3 and int(upper) < int(lower):
        return f"{fraction(int(upper), int(lower))}{behind}"
    return f"{upper}، {lower}{behind}"


def _are_neighbouring_years(first: str, second: str) -> bool:
    """۱۹۶۶/۶۷ and ۵۳۸/۵۳۹."""
    if not 3 <= len(first) <= 4 or len(second) not in (2, len(first)):
        return False
    return str(int(first) + 1)[-len(second) :] == second


def _short_version(found: re.Match[str]) -> str:
    if not _OF_VERSION.search(context(found, 24)):
        return found.group()
    return f"{number(found[1])} نقطه {number(found[2])}"


def _season(found: re.Match[str]) -> str:
    """۱۲–۲۰۱۱ is the season of 2011, typed in the order in which it looks right from right to left."""
    is_reversed = int(found[1]) == (int(found[2]) + 1) % 100
    return f"{found[2]} تا {int(found[1])}" if is_reversed else found.group()


def _span(found: re.Match[str]) -> str:
    until = re.compile(NUMBER).match(found.string, found.end())
    first, last = found[1], until.group() if until else ""
    is_score = len(first) <= 3 and len(last) <= 3 and _SCORE_WORDS.search(context(found, _SCORE_WORDS_WITHIN))
    return f"{first} {'بر' if is_score else 'تا'} "


def _any_digits(found: re.Match[str]) -> str:
    digits = found.group()
    return number(digits) if len(digits) <= 36 else digit_by_digit(digits)


ORDERS = (
    Rule(_MIXED_WRITTEN, lambda found: _mixed(found[1], int(found[2]), int(found[3]))),
    Rule(_CENTURY, lambda found: found[1] + ordinal(int(found[2]))),
    Rule(_ORDINAL, _ordinal),
    Rule(_ENGLISH_ORDINAL, lambda found: ordinal(int(found[1]))),
    Rule(_DECADE, lambda found: f"دههٔ {cardinal(int(found[1]))}"),
)
"""What must be known before a م is taken for metres."""

RULES = (
    Rule(_MIXED, _vulgar),
    Rule(_SHORT_VERSION, _short_version),
    Rule(_VERSION, lambda found: " نقطه ".join(number(part) for part in found[1].split("."))),
    Rule(_NUMBER_SIGN, lambda _: "شمارهٔ"),
    Rule(_ABOUT, lambda _: "حدود"),
    Rule(_SLASHED, _slashed),
    Rule(_SPACED_MINUS, lambda _: "منهای"),
    Rule(_TIMES_TEN, lambda _: "ضرب در"),
    Rule(_BY, lambda _: "در"),
    Rule(_TIMES, lambda _: "ضرب در"),
    Rule(_POWER, lambda found: f"به توان {found[1].translate(_RAISED)}"),
    Rule(_CARET, lambda _: "به توان "),
    Rule(_OVER, lambda _: "تقسیم بر"),
    Rule(_CHAIN, lambda found: "، ".join(re.findall(r"\d+", found[1]))),
    Rule(_SEASON, _season),
    Rule(_SPAN, _span),
    Rule(_RATIO, lambda _: "به"),
    Rule(_NEGATIVE, lambda _: "منفی "),
    Rule(_POSITIVE, lambda _: "مثبت "),
    Rule(_ANY_SIGN, lambda found: _SIGNS[found[1]]),
)
NUMBERS = (
    Rule(_ANY_NUMBER, lambda found: number(found.group())),
    Rule(_ANY_DIGITS, _any_digits),
)


def lowered(text: str) -> str:
    """H₂O with a plain 2: a small figure below is said like any other."""
    return text.translate(_LOWERED)
