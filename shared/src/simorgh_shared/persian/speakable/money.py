"""Amounts of money: the sign or code of a currency goes behind its amount, as a word."""

import re

from simorgh_shared.persian.speakable.numbers import NUMBER
from simorgh_shared.persian.speakable.rules import AMOUNT, NO_LETTER, Rule
from simorgh_shared.persian.speakable.tables import any_of, table

_SIGNS = table("""
$ دلار، US$ دلار آمریکا، C$ دلار کانادا، A$ دلار استرالیا، € یورو، £ پوند، ¥ ین، CN¥ یوان، 元 یوان، ₺ لیر،
₽ روبل، ₹ روپیه، ₩ وون، ₪ شکل، ₿ بیت‌کوین، ؋ افغانی، ﷼ ریال، ¢ سنت، ₴ هریونیا، Ξ اتر
""")
_CODES = table("""
USD دلار، EUR یورو، GBP پوند، IRR ریال، IRT تومان، TRY لیر، AED درهم، CNY یوان، RMB یوان، JPY ین، RUB روبل،
INR روپیه، CHF فرانک سوئیس، CAD دلار کانادا، AUD دلار استرالیا، SAR ریال سعودی، QAR ریال قطر، OMR ریال عمان،
IQD دینار عراق، KWD دینار کویت، BHD دینار بحرین، AFN افغانی، PKR روپیهٔ پاکستان، SEK کرون سوئد، NOK کرون نروژ،
DKK کرون دانمارک، BTC بیت‌کوین، ETH اتریوم، USDT تتر، XRP ریپل، DOGE دوج‌کوین، SGD دلار سنگاپور، KRW وون،
AZN منات، AMD درام، GEL لاری
""")
_SCALES = table("""
هزار هزار، میلیون میلیون، میلیارد میلیارد، تریلیون تریلیون، thousand هزار، million میلیون، billion میلیارد،
trillion تریلیون، k هزار، m میلیون، mn میلیون، b میلیارد، bn میلیارد، t تریلیون
""")
_HUNDREDTHS = {"دلار": "سنت", "یورو": "سنت", "پوند": "پنس", "دلار آمریکا": "سنت"}
SCALE = rf"(?: ?({any_of(_SCALES)}){NO_LETTER})?"
_SIGN = f"({any_of(_SIGNS)})"
_CODE = rf"(?<![A-Za-z])({any_of(_CODES)})(?![A-Za-z])"
_SPAN = rf"({NUMBER}){SCALE}(?: ?(?:[-–—]|تا) ?(?:[$€£¥₺₽₿] ?)?({NUMBER}){SCALE})?"
_SIGN_FIRST = re.compile(rf"([-−–])?(?<![A-Za-z])(?:{_SIGN}|{_CODE}) ?{_SPAN}", re.IGNORECASE)
_AMOUNT_FIRST = re.compile(rf"({AMOUNT}){SCALE} ?(?:{_SIGN}|{_CODE})", re.IGNORECASE)
_SLASHED_THOUSANDS = re.compile(r"(?<![\d.,/])(\d{1,3}(?:/\d{3})+)(?= ?(?:تومان|ریال|ت)" + NO_LETTER + ")")
_TOMANS = re.compile(rf"(?<=\d)( ?(?:هزار|میلیون|میلیارد))? ?ت{NO_LETTER}(?!\.[^\s])")


def _name(sign: str | None, code: str | None) -> str:
    return _SIGNS[sign.upper()] if sign else _CODES[(code or "").upper()]


def _amount(amount: str, scale: str | None, name: str) -> str:
    if scale:
        return f"{amount} {_SCALES[scale.lower()]} {name}"
    whole, _, hundredths = amount.partition(".")
    small = _HUNDREDTHS.get(name)
    if small and len(hundredths) == 2:
        parts = [f"{whole} {name}"] if whole.strip("0") or not hundredths.strip("0") else []
        if hundredths.strip("0"):
            parts.append(f"{hundredths.lstrip('0')} {small}")
        return " و ".join(parts)
    return f"{amount} {name}"


def _sign_first(found: re.Match[str]) -> str:
    minus, sign, code, amount, scale, until, until_scale = found.groups()
    name = _name(sign, code)
    before = "منفی " if minus and not found.string[: found.start()][-1:].isalnum() else "تا " if minus else ""
    if until:
        first = f"{amount} {_SCALES[scale.lower()]}" if scale else amount
        return f"{before}{first} تا {_amount(until, until_scale, name)}"
    return f"{before}{_amount(amount, scale, name)}"


def _amount_first(found: re.Match[str]) -> str:
    amount, scale, sign, code = found.groups()
    return _amount(amount, scale, _name(sign, code))


RULES = (
    Rule(_SLASHED_THOUSANDS, lambda found: found[1].replace("/", "")),
    Rule(_SIGN_FIRST, _sign_first),
    Rule(_AMOUNT_FIRST, _amount_first),
    Rule(_TOMANS, lambda found: f"{found[1] or ''} تومان"),
)
