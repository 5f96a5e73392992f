"""The languages that Whisper hears: their codes, and the names that people and clients write for them.

Source: https://github.com/openai/whisper/blob/main/whisper/tokenizer.py (standard library alone here).
"""

from collections.abc import Mapping

LANGUAGES: Mapping[str, str] = {
    "af": "afrikaans", "am": "amharic", "ar": "arabic", "as": "assamese", "az": "azerbaijani", "ba": "bashkir",
    "be": "belarusian", "bg": "bulgarian", "bn": "bengali", "bo": "tibetan", "br": "breton", "bs": "bosnian",
    "ca": "catalan", "cs": "czech", "cy": "welsh", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish", "fo": "faroese",
    "fr": "french", "gl": "galician", "gu": "gujarati", "ha": "hausa", "haw": "hawaiian", "he": "hebrew",
    "hi": "hindi", "hr": "croatian", "ht": "haitian creole", "hu": "hungarian", "hy": "armenian", "id": "indonesian",
    "is": "icelandic", "it": "italian", "ja": "japanese", "jw": "javanese", "ka": "georgian", "kk": "kazakh",
    "km": "khmer", "kn": "kannada", "ko": "korean", "la": "latin", "lb": "luxembourgish", "ln": "lingala",
    "lo": "lao", "lt": "lithuanian", "lv": "latvian", "mg": "malagasy", "mi": "maori", "mk": "macedonian",
    "ml": "malayalam", "mn": "mongolian", "mr": "marathi", "ms": "malay", "mt": "maltese", "my": "myanmar",
    "ne": "nepali", "nl": "dutch", "nn": "nynorsk", "no": "norwegian", "oc": "occitan", "pa": "punjabi",
    "pl": "polish", "ps": "pashto", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sa": "sanskrit",
    "sd": "sindhi", "si": "sinhala", "sk": "slovak", "sl": "slovenian", "sn": "shona", "so": "somali",
    "sq": "albanian", "sr": "serbian", "su": "sundanese", "sv": "swedish", "sw": "swahili", "ta": "tamil",
    "te": "telugu", "tg": "tajik", "th": "thai", "tk": "turkmen", "tl": "tagalog", "tr": "turkish", "tt": "tatar",
    "uk": "ukrainian", "ur": "urdu", "uz": "uzbek", "vi": "vietnamese", "yi": "yiddish", "yo": "yoruba",
    "yue": "cantonese", "zh": "chinese",
}  # fmt: skip
"""Whisper's code of each language, ISO 639-1 where there is one, and its English name."""

_OTHER_NAMES: Mapping[str, str] = {
    "burmese": "my", "castilian": "es", "cmn": "zh", "farsi": "fa", "fil": "tl", "filipino": "tl", "flemish": "nl",
    "haitian": "ht", "in": "id", "iw": "he", "jv": "jw", "letzeburgesch": "lb", "mandarin": "zh", "moldavian": "ro",
    "moldovan": "ro", "nb": "no", "norwegian bokmål": "no", "panjabi": "pa", "pushto": "ps", "sinhalese": "si",
    "valencian": "ca",
}  # fmt: skip
_CODES: Mapping[str, str] = {**{name: code for code, name in LANGUAGES.items()}, **_OTHER_NAMES}


def heard_name(code: str) -> str:
    """The English name of a language that is heard: `Persian`; the code where it has none."""
    return LANGUAGES[code].title() if code in LANGUAGES else code


def language_code(given: str) -> str | None:
    """Whisper's code of a language that is named by code, tag (`fa-IR`) or English name; None for one it has not."""
    name = given.strip().lower()
    if name in LANGUAGES:
        return name
    if name in _CODES:
        return _CODES[name]
    primary = name.replace("_", "-").partition("-")[0]
    return primary if primary in LANGUAGES else _CODES.get(primary) if len(primary) <= 3 else None
