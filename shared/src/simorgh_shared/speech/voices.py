"""Which voice speaks which language: eSpeak NG's languages by name, and how MMS names its own. Stdlib only.

A language is named by what callers send (`fa`, `en`, `pt-br`). That the table is what the library lists is tested.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from simorgh_shared.speech.languages import heard_name

ESPEAK_PREFIX = "espeak:"
"""Before the language, in the name of a voice that is always there: `espeak:fa`."""


@dataclass(frozen=True)
class LanguageName:
    """A language as people call it."""

    english: str
    persian: str
    native: str


def _named(english: str, persian: str, native: str) -> LanguageName:
    return LanguageName(english, persian, native)


ESPEAK_LANGUAGES: Mapping[str, LanguageName] = {
    "af": _named("Afrikaans", "آفریکانس", "Afrikaans"),
    "am": _named("Amharic", "امهری", "አማርኛ"),
    "an": _named("Aragonese", "آراگونی", "Aragonés"),
    "ar": _named("Arabic", "عربی", "العربية"),
    "as": _named("Assamese", "آسامی", "অসমীয়া"),
    "az": _named("Azerbaijani", "آذربایجانی", "Azərbaycanca"),
    "ba": _named("Bashkir", "باشقیری", "Башҡортса"),
    "be": _named("Belarusian", "بلاروسی", "Беларуская"),
    "bg": _named("Bulgarian", "بلغاری", "Български"),
    "bn": _named("Bengali", "بنگالی", "বাংলা"),
    "bpy": _named("Bishnupriya Manipuri", "بیشنوپریا مانیپوری", "বিষ্ণুপ্রিয়া মণিপুরী"),
    "bs": _named("Bosnian", "بوسنیایی", "Bosanski"),
    "ca": _named("Catalan", "کاتالان", "Català"),
    "ca-ba": _named("Catalan (Balearic)", "کاتالان (بالئاری)", "Català (balear)"),
    "ca-nw": _named("Catalan (North-western)", "کاتالان (شمال غربی)", "Català (nord-occidental)"),
    "ca-va": _named("Catalan (Valencian)", "کاتالان (والنسیایی)", "Català (valencià)"),
    "chr-us-qaaa-x-west": _named("Cherokee", "چروکی", "ᏣᎳᎩ"),
    "cmn": _named("Chinese (Mandarin)", "چینی (ماندارین)", "中文"),
    "cmn-latn-pinyin": _named("Chinese (Pinyin)", "چینی (پین‌یین)", "Pīnyīn"),
    "cs": _named("Czech", "چکی", "Čeština"),
    "cv": _named("Chuvash", "چوواشی", "Чӑвашла"),
    "cy": _named("Welsh", "ویلزی", "Cymraeg"),
    "da": _named("Danish", "دانمارکی", "Dansk"),
    "de": _named("German", "آلمانی", "Deutsch"),
    "el": _named("Greek", "یونانی", "Ελληνικά"),
    "en": _named("English", "انگلیسی", "English"),
    "en-029": _named("English (Caribbean)", "انگلیسی (کارائیب)", "English (Caribbean)"),
    "en-gb": _named("English (Great Britain)", "انگلیسی (بریتانیا)", "English (Great Britain)"),
    "en-gb-scotland": _named("English (Scotland)", "انگلیسی (اسکاتلند)", "English (Scotland)"),
    "en-gb-x-gbclan": _named("English (Lancaster)", "انگلیسی (لنکستر)", "English (Lancaster)"),
    "en-gb-x-gbcwmd": _named("English (West Midlands)", "انگلیسی (میدلندز غربی)", "English (West Midlands)"),
    "en-gb-x-rp": _named(
        "English (Received Pronunciation)", "انگلیسی (معیار بریتانیا)", "English (Received Pronunciation)"
    ),
    "en-shaw": _named("English (Shavian alphabet)", "انگلیسی (الفبای شاوی)", "𐑦𐑙𐑜𐑤𐑦𐑖"),
    "en-us": _named("English (America)", "انگلیسی (آمریکا)", "English (America)"),
    "en-us-nyc": _named("English (New York City)", "انگلیسی (نیویورک)", "English (New York City)"),
    "eo": _named("Esperanto", "اسپرانتو", "Esperanto"),
    "es": _named("Spanish (Spain)", "اسپانیایی (اسپانیا)", "Español (España)"),
    "es-419": _named("Spanish (Latin America)", "اسپانیایی (آمریکای لاتین)", "Español (Latinoamérica)"),
    "et": _named("Estonian", "استونیایی", "Eesti"),
    "eu": _named("Basque", "باسکی", "Euskara"),
    "fa": _named("Persian", "فارسی", "فارسی"),
    "fa-latn": _named("Persian (Latin letters)", "فارسی (پینگلیش)", "Fârsi"),
    "fi": _named("Finnish", "فنلاندی", "Suomi"),
    "fr": _named("French", "فرانسوی", "Français"),
    "fr-be": _named("French (Belgium)", "فرانسوی (بلژیک)", "Français (Belgique)"),
    "fr-ch": _named("French (Switzerland)", "فرانسوی (سوئیس)", "Français (Suisse)"),
    "fr-fr": _named("French (France)", "فرانسوی (فرانسه)", "Français (France)"),
    "ga": _named("Irish", "ایرلندی", "Gaeilge"),
    "gd": _named("Scottish Gaelic", "گیلی اسکاتلندی", "Gàidhlig"),
    "gn": _named("Guarani", "گوارانی", "Avañe'ẽ"),
    "grc": _named("Greek (Ancient)", "یونانی باستان", "Ἑλληνική"),
    "gu": _named("Gujarati", "گجراتی", "ગુજરાતી"),
    "hak": _named("Hakka Chinese", "چینی هاکا", "客家話"),
    "haw": _named("Hawaiian", "هاوایی", "ʻŌlelo Hawaiʻi"),
    "he": _named("Hebrew", "عبری", "עברית"),
    "hi": _named("Hindi", "هندی", "हिन्दी"),
    "hr": _named("Croatian", "کرواتی", "Hrvatski"),
    "ht": _named("Haitian Creole", "کریول هائیتی", "Kreyòl ayisyen"),
    "hu": _named("Hungarian", "مجاری", "Magyar"),
    "hy": _named("Armenian (East)", "ارمنی (شرقی)", "Հայերեն"),
    "hyw": _named("Armenian (West)", "ارمنی (غربی)", "Արեւմտահայերէն"),
    "ia": _named("Interlingua", "اینترلینگوا", "Interlingua"),
    "id": _named("Indonesian", "اندونزیایی", "Bahasa Indonesia"),
    "io": _named("Ido", "ایدو", "Ido"),
    "is": _named("Icelandic", "ایسلندی", "Íslenska"),
    "it": _named("Italian", "ایتالیایی", "Italiano"),
    "ja": _named("Japanese", "ژاپنی", "日本語"),
    "jbo": _named("Lojban", "لوژبان", "Lojban"),
    "ka": _named("Georgian", "گرجی", "ქართული"),
    "kk": _named("Kazakh", "قزاقی", "Қазақша"),
    "kl": _named("Greenlandic", "گرینلندی", "Kalaallisut"),
    "kn": _named("Kannada", "کانارا", "ಕನ್ನಡ"),
    "ko": _named("Korean", "کره‌ای", "한국어"),
    "kok": _named("Konkani", "کنکانی", "कोंकणी"),
    "ku": _named("Kurdish", "کردی", "Kurdî"),
    "ky": _named("Kyrgyz", "قرقیزی", "Кыргызча"),
    "la": _named("Latin", "لاتین", "Latina"),
    "lb": _named("Luxembourgish", "لوکزامبورگی", "Lëtzebuergesch"),
    "lfn": _named("Lingua Franca Nova", "لینگوا فرانکا نووا", "Lingua Franca Nova"),
    "lt": _named("Lithuanian", "لیتوانیایی", "Lietuvių"),
    "ltg": _named("Latgalian", "لاتگالی", "Latgalīšu"),
    "lv": _named("Latvian", "لتونیایی", "Latviešu"),
    "mi": _named("Māori", "مائوری", "Te reo Māori"),
    "mk": _named("Macedonian", "مقدونی", "Македонски"),
    "ml": _named("Malayalam", "مالایالم", "മലയാളം"),
    "mr": _named("Marathi", "مراتی", "मराठी"),
    "ms": _named("Malay", "مالایی", "Bahasa Melayu"),
    "mt": _named("Maltese", "مالتی", "Malti"),
    "mto": _named("Totontepec Mixe", "میخه توتونتپک", "Ayöök"),
    "my": _named("Burmese", "برمه‌ای", "မြန်မာ"),
    "nb": _named("Norwegian Bokmål", "نروژی (بوکمول)", "Norsk bokmål"),
    "nci": _named("Nahuatl (Classical)", "ناواتل کلاسیک", "Nāhuatl"),
    "ne": _named("Nepali", "نپالی", "नेपाली"),
    "nl": _named("Dutch", "هلندی", "Nederlands"),
    "nog": _named("Nogai", "نوغای", "Ногайша"),
    "om": _named("Oromo", "اورومو", "Afaan Oromoo"),
    "or": _named("Odia", "اودیا", "ଓଡ଼ିଆ"),
    "pa": _named("Punjabi", "پنجابی", "ਪੰਜਾਬੀ"),
    "pap": _named("Papiamento", "پاپیامنتو", "Papiamentu"),
    "piqd": _named("Klingon", "کلینگون", "tlhIngan Hol"),
    "pl": _named("Polish", "لهستانی", "Polski"),
    "pt": _named("Portuguese (Portugal)", "پرتغالی (پرتغال)", "Português (Portugal)"),
    "pt-br": _named("Portuguese (Brazil)", "پرتغالی (برزیل)", "Português (Brasil)"),
    "py": _named("Pyash", "پیاش", "Pyash"),
    "qdb": _named("Lang Belta", "لنگ بلتا", "Lang Belta"),
    "qu": _named("Quechua", "کچوا", "Runa Simi"),
    "quc": _named("K'iche'", "کیچه", "K'iche'"),
    "qya": _named("Quenya", "کوئنیا", "Quenya"),
    "ro": _named("Romanian", "رومانیایی", "Română"),
    "ru": _named("Russian", "روسی", "Русский"),
    "ru-cl": _named("Russian (Classic)", "روسی (کلاسیک)", "Русский (классический)"),
    "ru-lv": _named("Russian (Latvia)", "روسی (لتونی)", "Русский (Латвия)"),
    "sd": _named("Sindhi", "سندی", "سنڌي"),
    "shn": _named("Shan", "شان", "လိၵ်ႈတႆး"),
    "si": _named("Sinhala", "سینهالی", "සිංහල"),
    "sjn": _named("Sindarin", "سینداری", "Sindarin"),
    "sk": _named("Slovak", "اسلواکی", "Slovenčina"),
    "sl": _named("Slovenian", "اسلوونیایی", "Slovenščina"),
    "smj": _named("Lule Sámi", "سامی لوله", "Julevsámegiella"),
    "sq": _named("Albanian", "آلبانیایی", "Shqip"),
    "sr": _named("Serbian", "صربی", "Српски"),
    "sv": _named("Swedish", "سوئدی", "Svenska"),
    "sw": _named("Swahili", "سواحلی", "Kiswahili"),
    "ta": _named("Tamil", "تامیلی", "தமிழ்"),
    "te": _named("Telugu", "تلوگو", "తెలుగు"),
    "th": _named("Thai", "تایلندی", "ไทย"),
    "ti": _named("Tigrinya", "تیگرینیا", "ትግርኛ"),
    "tk": _named("Turkmen", "ترکمنی", "Türkmençe"),
    "tn": _named("Setswana", "تسوانا", "Setswana"),
    "tr": _named("Turkish", "ترکی استانبولی", "Türkçe"),
    "tt": _named("Tatar", "تاتاری", "Татарча"),
    "ug": _named("Uyghur", "اویغوری", "ئۇيغۇرچە"),
    "uk": _named("Ukrainian", "اوکراینی", "Українська"),
    "ur": _named("Urdu", "اردو", "اردو"),
    "uz": _named("Uzbek", "ازبکی", "Oʻzbekcha"),
    "vi": _named("Vietnamese (Northern)", "ویتنامی (شمالی)", "Tiếng Việt (miền Bắc)"),
    "vi-vn-x-central": _named("Vietnamese (Central)", "ویتنامی (مرکزی)", "Tiếng Việt (miền Trung)"),
    "vi-vn-x-south": _named("Vietnamese (Southern)", "ویتنامی (جنوبی)", "Tiếng Việt (miền Nam)"),
    "yue": _named("Chinese (Cantonese)", "چینی (کانتونی)", "粵語"),
}
"""What the version that the package carries speaks (1.52): it lists Faroese, Karakalpak and Xextan too, and comes
without their dictionaries."""

_ESPEAK_OWN = {"en": "en-us", "fr": "fr-fr"}
"""What eSpeak calls a language that we list by a plainer name."""
_ESPEAK_ALIASES = {"zh": "cmn", "no": "nb", "nn": "nb", "iw": "he", "in": "id"}
"""Names of callers for languages of the table."""
_MMS = {
    "afr": "af", "amh": "am", "ara": "ar", "arb": "ar", "asm": "as", "azj": "az", "aze": "az", "bak": "ba",
    "bel": "be", "ben": "bn", "bul": "bg", "cat": "ca", "ces": "cs", "chv": "cv", "ckb": "ckb", "cmn": "zh",
    "cym": "cy", "dan": "da", "deu": "de", "ell": "el", "eng": "en", "est": "et", "eus": "eu", "fas": "fa",
    "fin": "fi", "fra": "fr", "gle": "ga", "guj": "gu", "hat": "ht", "heb": "he", "hin": "hi", "hrv": "hr",
    "hun": "hu", "hye": "hy", "ind": "id", "isl": "is", "ita": "it", "jav": "jv", "jpn": "ja", "kan": "kn",
    "kat": "ka", "kaz": "kk", "khm": "km", "kir": "ky", "kmr": "ku", "kor": "ko", "lao": "lo", "lat": "la",
    "lav": "lv", "lit": "lt", "mal": "ml", "mar": "mr", "mkd": "mk", "mlg": "mg", "mon": "mn", "mya": "my",
    "nep": "ne", "nld": "nl", "nob": "nb", "npi": "ne", "ory": "or", "pan": "pa", "pes": "fa", "pol": "pl",
    "por": "pt", "prs": "fa", "pus": "ps", "ron": "ro", "rus": "ru", "slk": "sk", "slv": "sl", "snd": "sd",
    "som": "so", "spa": "es", "sqi": "sq", "srp": "sr", "swe": "sv", "swh": "sw", "tam": "ta", "tat": "tt",
    "tel": "te", "tgk": "tg", "tgl": "tl", "tha": "th", "tir": "ti", "tuk": "tk", "tur": "tr", "uig": "ug",
    "ukr": "uk", "urd": "ur", "uzb": "uz", "vie": "vi", "yor": "yo", "zho": "zh", "zlm": "ms",
}  # fmt: skip
"""MMS names languages by three letters (ISO 639-3); callers by two."""
_MMS_NAME = re.compile(r"mms[-_]tts[-_]([a-z]{3})(?![a-z])")


def language_name(code: str) -> str:
    """The English name of a language that is spoken; the code where it has none."""
    found = ESPEAK_LANGUAGES.get(code)
    return found.english if found is not None else heard_name(code.lower().partition("-")[0])


def espeak_key(language: str) -> str | None:
    """The table's name of a language that a caller named in any case, or None where eSpeak does not speak it.

    A region that it has no voice for is left out: `fa-IR` is `fa`.
    """
    name = language.strip().lower().replace("_", "-")
    while name:
        name = _ESPEAK_ALIASES.get(name, name)
        if name in ESPEAK_LANGUAGES:
            return name
        name = name.rpartition("-")[0]
    return None


def espeak_own_name(key: str) -> str:
    """What the library calls a language of the table."""
    return _ESPEAK_OWN.get(key, key)


def language_of_three_letters(code: str) -> str:
    """The name that callers use for an ISO 639-3 code, with or without a script (`uzb-script_latin`)."""
    plain = code.strip().lower().partition("-")[0]
    return _MMS.get(plain, plain)


def language_of_name(name: str) -> str | None:
    """The language that a voice's name tells: `facebook/mms-tts-fas` speaks `fa`."""
    found = _MMS_NAME.search(name.lower())
    return None if found is None else language_of_three_letters(found[1])
