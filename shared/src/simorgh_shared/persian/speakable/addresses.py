"""URLs, e-mail addresses, @names and #tags as they are read out: دات، اسلش، ات ساین."""

import re
from urllib.parse import unquote

from simorgh_shared.persian.alphabet import WORD
from simorgh_shared.persian.speakable.latin import latin_word
from simorgh_shared.persian.speakable.numbers import digit_group
from simorgh_shared.persian.speakable.rules import Rule
from simorgh_shared.persian.speakable.tables import any_of, table

_DOMAINS = table("""
com کام، org اورگ، net نت، info اینفو، biz بیز، app اپ، dev دِو، shop شاپ، online آنلاین، site سایت،
xyz ایکس وای زد، blog بلاگ، edu ای دی یو، gov جی او وی، mil میل، ir آی آر، io آی او، ai ای آی، co سی او،
me می، tv تی وی، uk یو کی، de دی ای، fr اف آر، us یو اس، af ای اف، tj تی جی، tr تی آر، ae ای ای، in آی ان،
ru آر یو، cn سی ان، eu ای یو، ca سی ای، au ای یو، nl ان ال، se اس ای، ch سی اچ
""")
_SPOKEN = table("""
. دات، / اسلش، - خط تیره، _ آندرلاین، @ ات ساین، ? علامت سؤال، = مساوی، & اَند، # هشتگ، : دونقطه،
% درصد، + به‌علاوه، ~ مد، ! علامت تعجب
""")
_END = r"[^\s<>«»\"،؛`.,:;!?؟…)\]}]"
_TAIL = rf"(?:[/?#](?:[^\s<>«»\"،؛`]*{_END}|))?/?"
_HOST = rf"(?:[a-z0-9-]{{1,63}}\.){{1,8}}(?:{any_of(_DOMAINS)})(?![\w-]|\.[a-z0-9])"
_URL = re.compile(
    rf"(?<![\w@.-])(?:(?:https?|ftp)://)(\S{{0,2000}}?{_END}/?)(?=[.,:;!?؟…)\]}}»،؛]*(?:[\s<>«»\"،؛`]|$))"
    rf"|(?<![\w@.+-])((?:www\.)?{_HOST}{_TAIL})",
    re.IGNORECASE,
)
_EMAIL = re.compile(
    r"(?<![\w.+-])(?:mailto:)?([\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[a-z]{2,24})(?![\w-])", re.IGNORECASE
)
_FILE = re.compile(
    r"(?<![\w/.-])([\w-]{1,64}\.(?:pdf|docx?|xlsx?|pptx?|jpe?g|png|gif|svg|mp[34]|wav|zip|rar|txt|csv|html?|py|js|json|xml|exe|apk))"
    r"(?![\w-])",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<![\w@])@(\w+(?:\.\w+)*)")
_TAG = re.compile(rf"(?<![\w&#])#((?!\d+\b)\w[\w{WORD}]*)")
_PIECE = re.compile(r"[A-Za-z]+|\d+|[^\W\d_A-Za-z][^\W\d_A-Za-z\u200c]*|[^\w\s]|_")


def _address(written: str) -> str:
    written = unquote(written).rstrip("/")
    host, slash, path = written.partition("/")
    return " ".join(_pieces(host, is_host=True) + _pieces(slash + path, is_host=False))


def _pieces(text: str, *, is_host: bool) -> list[str]:
    spoken: list[str] = []
    found = list(_PIECE.finditer(text))
    for place, piece in enumerate(found):
        written = piece.group()
        is_domain = is_host and place > 0 and found[place - 1].group() == "."
        if written.isascii() and written.isalpha():
            domain = _DOMAINS.get(written.lower()) if is_domain else None
            spoken.append(domain or latin_word(written))
        elif written.isdecimal():
            spoken.append(digit_group(written))
        elif written[0].isalpha():
            spoken.append(written)
        else:
            spoken.append(_SPOKEN.get(written, ""))
    return [words for words in spoken if words]


def _email(found: re.Match[str]) -> str:
    name, _, host = found[1].partition("@")
    return " ".join([*_pieces(name, is_host=False), _SPOKEN["@"], *_pieces(host, is_host=True)])


RULES = (
    Rule(_EMAIL, _email),
    Rule(_URL, lambda found: _address(found[1] or found[2])),
    Rule(_FILE, lambda found: " ".join(_pieces(found[1], is_host=False))),
    Rule(_NAME, lambda found: f"ات ساین {' '.join(_pieces(found[1], is_host=False))}"),
    Rule(_TAG, lambda found: f"هشتگ {found[1].replace('_', ' ')}"),
)
"""The scheme is not said: nobody says it."""
