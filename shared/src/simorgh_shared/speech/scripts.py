"""Which language a text is most likely in, told by its letters alone: enough to choose who reads it aloud.

Standard library alone. Where the letters leave a choice, the text is taken for Persian: this platform's first language.
"""

import unicodedata
from collections import Counter

_PERSIAN = frozenset("پچژگکی")
_ARABIC = frozenset("ةىيكأإؤًٌٍ")
_URDU = frozenset("ٹڈڑںےہ")
_SCRIPTS = {
    "LATIN": "en",
    "CYRILLIC": "ru",
    "GREEK": "el",
    "HEBREW": "he",
    "ARMENIAN": "hy",
    "GEORGIAN": "ka",
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "GURMUKHI": "pa",
    "GUJARATI": "gu",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "SINHALA": "si",
    "THAI": "th",
    "MYANMAR": "my",
    "ETHIOPIC": "am",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "CJK": "zh",
}
_MOST_CHARS = 2_000  # of a long text the beginning tells enough


def language_of(text: str) -> str:
    """The code of the language that a reader is to be chosen for."""
    seen = Counter(_script(char) for char in text[:_MOST_CHARS] if char.isalpha())
    seen.pop("", None)
    if not seen:
        return "fa"
    if seen["HIRAGANA"] or seen["KATAKANA"]:
        return "ja"
    script = seen.most_common(1)[0][0]
    return _of_arabic_letters(text[:_MOST_CHARS]) if script == "ARABIC" else _SCRIPTS.get(script, "fa")


def _of_arabic_letters(text: str) -> str:
    letters = Counter(text)
    urdu, persian, arabic = (sum(letters[char] for char in own) for own in (_URDU, _PERSIAN, _ARABIC))
    if urdu > 0:
        return "ur"
    return "ar" if arabic > persian else "fa"


def _script(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0]
