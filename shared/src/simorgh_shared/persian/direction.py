"""The direction in which a text is shown: that of its first strong character, as a reader would see it."""

import re
import unicodedata
from typing import Literal

Direction = Literal["rtl", "ltr"]

# What says nothing of the language around it: code, fenced or in a line (a cut-off one runs to its end), and addresses.
_CODE_OR_ADDRESS = re.compile(
    r"```.*?(?:```|\Z)"
    r"|(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)"
    r"|(?:[a-z][a-z0-9+.-]{1,15}://|www\.)\S+"  # bounded, as the next line: else a long word takes minutes
    r"|(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+",
    re.DOTALL | re.IGNORECASE,
)
_EMOJI_STYLE = re.compile(".\ufe0f", re.DOTALL)  # ℹ️ is a Latin letter that is shown as a picture
_STRONG: dict[str, Direction] = {"R": "rtl", "AL": "rtl", "L": "ltr"}
_NO_LETTERS = frozenset({"So", "Nd"})
"""Regional indicators (flags), squared letters and some scripts' digits are strong for Unicode, not for a reader."""


def direction(text: str, default: Direction = "rtl") -> Direction:
    """The direction of `text`; `default` where nothing in it is strong, as in an empty one or in numbers alone.

    Source: Unicode Standard Annex 9, rules P2 and P3, for what is left without code, addresses and pictures.
    """
    plain = _EMOJI_STYLE.sub(" ", _CODE_OR_ADDRESS.sub(" ", text))
    for character in plain:
        strong = _STRONG.get(unicodedata.bidirectional(character))
        if strong is not None and unicodedata.category(character) not in _NO_LETTERS:
            return strong
    return default
