"""Latin words in Persian letters: known ones by a word list, acronyms letter by letter, others by rules of thumb.

The rules of thumb are approximate: English spelling does not tell its sound. A word that matters belongs to the list.
"""

import re
import unicodedata

from simorgh_shared.persian.alphabet import WORD
from simorgh_shared.persian.speakable.latin_words import LATIN_WORDS
from simorgh_shared.persian.speakable.rules import Rule
from simorgh_shared.persian.speakable.tables import any_of, table

_LETTERS = table("""
a ای، b بی، c سی، d دی، e ای، f اف، g جی، h اچ، i آی، j جی، k کی، l ال، m ام، n ان، o او، p پی، q کیو، r آر،
s اس، t تی، u یو، v وی، w دبلیو، x ایکس، y وای، z زد
""")
_GREEK = table("""
α آلفا، β بتا، γ گاما، δ دلتا، ε اپسیلون، ζ زتا، η اتا، θ تتا، ι یوتا، κ کاپا، λ لاندا، μ مو، ν نو، ξ کسی،
ο اومیکرون، π پی، ρ رو، σ سیگما، ς سیگما، τ تاو، υ اوپسیلون، φ فی، χ خی، ψ پسی، ω امگا
""")
_GREEK_SOUNDS = str.maketrans(
    table("""
α ا، β و، γ گ، δ د، ε ِ، ζ ز، η ی، θ ث، ι ی، κ ک، λ ل، μ م، ν ن، ξ کس، ο و، π پ، ρ ر، σ س، ς س، τ ت، υ ی، φ ف،
χ خ، ψ پس، ω و
""")
)
_CYRILLIC = str.maketrans(
    table("""
а ا، б ب، в و، г گ، д د، е ه، ё یو، ж ژ، з ز، и ی، й ی، к ک، л ل، м م، н ن، о و، п پ، р ر، с س، т ت، у و، ф ف،
х خ، ц تس، ч چ، ш ش، щ ش، ы ی، э ه، ю یو، я یا
""")
)
_SOUNDS = table("""
tion شن، sion ژن، que ک، chr کر، ture چر، ough و، augh او، eigh ای، sch ش، tch چ، dge ج، sh ش، ch چ، th ت،
ph ف، kh خ، gh ق، zh ژ، wh و، ck ک، qu کو، oo و، ee ی، ea ی، ou و، ow و، ai ی، ay ی، ei ی، ey ی، ie ی، oa و،
au و، aw و، eu یو، ew یو، ng نگ، nk نک، sc اسک، b ب، c ک، d د، f ف، g گ، h ه، j ج، k ک، l ل، m م، n ن، p پ،
q ک، r ر، s س، t ت، v و، w و، x کس، y ی، z ز، a ا، e ِ، i ی، o و، u ا
""")
_FIRST = table("""
tion شن، a آ، e ا، i ای، o او، u آ، y ی، oo او، ee ای، ea ای، ou او، ow او، ai ای، ay ای، ei ای، ey ای، ie ای،
oa او، au او، aw او، eu یو، ew یو، sc اسک، sk اسک، sl اسل، sm اسم، sn اسن، sp اسپ، st است، sw اسو، wr ر، kn ن،
ps س، x ز، qu کو، gn ن
""")
_SOUND = re.compile(any_of(_SOUNDS))
_FIRST_SOUND = re.compile(any_of(_FIRST))
_SOFT = re.compile("[cg](?=[eiy])")
_DOUBLED = re.compile(r"([b-df-hj-np-tv-z])\1")
_SILENT_E = re.compile(r"(?<=[a-z]{2})(?<![eaiou])e$")
_VOWEL = re.compile("[aeiouy]", re.IGNORECASE)
_CAMEL = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LONGEST_ACRONYM = 6
_MARKED_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
    | {"Æ": "Ae", "Œ": "Oe", "Ø": "O", "Ł": "L", "Đ": "D", "Ð": "D", "Þ": "Th"}
)
_IPA = "[\u0250-\u02af\u02c8\u02d0]"
_PHONETIC = re.compile(
    rf"(?<![\w/])[a-z]{{0,2}}/[^/\n]{{0,60}}{_IPA}[^/\n]{{0,60}}/|\[[^\]\n]{{0,60}}{_IPA}[^\]\n]{{0,60}}\]"
)
_GREEK_MARKED = re.compile("[\u0386-\u03ce\u1f00-\u1fff]+")
_NON_ASCII_LATIN = re.compile("[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]+")
_SIGNED = table("""
c++ سی پلاس پلاس، c# سی شارپ، f# اف شارپ، .net دات نت، node.js نود جی اس، r&d آر اند دی، at&t ای تی اند تی،
q&a کیو اند ای، b2b بی تو بی، mp3 ام پی تری، mp4 ام پی فور، wi-fi وای‌فای، h2o اچ دو او، 4k فور کی
""")
_WITH_SIGNS = re.compile(rf"(?<![\w.])(?:{any_of(_SIGNED)})(?![A-Za-z0-9])", re.IGNORECASE)
_MODEL_NAME = re.compile(r"(?<![\w.@/-])[A-Za-z][A-Za-z0-9.]{0,40}(?:-[A-Za-z0-9.]{1,40}){1,8}(?![\w/@-])")
_THREE_D = re.compile(r"(?<![\w.])([23])D(?!\w)")
_DOTTED_ACRONYM = re.compile(r"(?<![A-Za-z])(?:[A-Za-z]\.){2,}[A-Za-z]?(?![a-z])")
_POSSESSIVE = re.compile(r"(?<=[A-Za-z])['’](?:s\b)?")
_HYPHEN = re.compile(r"(?<=[A-Za-z0-9])[-‐‑–](?=[A-Za-z])|(?<=[A-Za-z])[-‐‑–](?=\d)")
_AND = re.compile(r"(?<=[A-Za-z]) ?& ?(?=[A-Za-z])")
_WORD = re.compile(f"([A-Za-z]+)(?:[\u200c]?(ها|های|هایی|هایش|هایم)(?![{WORD}]))?")
_GREEK_LETTER = re.compile(f"[{''.join(_GREEK)}{''.join(_GREEK).upper()}]")
_GREEK_WORD = re.compile(f"[{''.join(_GREEK)}{''.join(_GREEK).upper()}]{{2,}}")
_CYRILLIC_WORD = re.compile("[а-яё]+", re.IGNORECASE)


def latin_word(written: str) -> str:
    """One word of ASCII letters in Persian: from the list, spelt, or by ear."""
    lower = written.lower()
    known = LATIN_WORDS.get(lower)
    if known:
        return known
    if len(written) == 1 or (written.isupper() and len(written) <= _LONGEST_ACRONYM) or not _VOWEL.search(written):
        return spelt(written)
    parts = _CAMEL.findall(written)
    if len(parts) > 1 and not written.isupper():
        return " ".join(latin_word(part) for part in parts)
    if lower.endswith("s") and lower[:-1] in LATIN_WORDS:
        return f"{LATIN_WORDS[lower[:-1]]}ز"
    return by_ear(lower)


def spelt(letters: str) -> str:
    """یو اس بی."""
    return " ".join(_LETTERS[letter] for letter in letters.lower() if letter in _LETTERS)


def by_ear(word: str) -> str:
    """An unknown word in lower case, by the commonest sound of its letters; short vowels inside are not written."""
    word = _SILENT_E.sub("", _DOUBLED.sub(r"\1", word))
    if len(word) < 4 and word.endswith("e"):
        word = f"{word[:-1]}i"  # me, she
    word = _SOFT.sub(lambda found: "s" if found.group() == "c" else "j", word)
    first = _FIRST_SOUND.match(word)
    head = _FIRST[first.group()] if first else ""
    tail = _SOUND.sub(lambda found: _SOUNDS[found.group()], word[first.end() if first else 0 :])
    return f"{head}{tail}".rstrip("ِ")


def plain_latin(text: str) -> str:
    """Marked Latin letters without their marks: café, Müller; Greek ones too."""
    return _NON_ASCII_LATIN.sub(_without_marks, _GREEK_MARKED.sub(_greek_without_marks, text))


def _without_marks(found: re.Match[str]) -> str:
    decomposed = unicodedata.normalize("NFKD", found.group().translate(_MARKED_LETTERS))
    return decomposed.encode("ascii", "ignore").decode()


def _greek_without_marks(found: re.Match[str]) -> str:
    decomposed = unicodedata.normalize("NFD", found.group())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _greek(found: re.Match[str]) -> str:
    return _GREEK[found.group().lower()]


SIGNED = (
    Rule(_PHONETIC, lambda _: ""),  # how a name sounds, which is what is being said anyway
    Rule(_WITH_SIGNS, lambda found: _SIGNED[found.group().lower()]),
    Rule(_MODEL_NAME, lambda found: found.group().replace("-", " ")),
    Rule(_THREE_D, lambda found: f"{'دو' if found[1] == '2' else 'سه'}\u200cبعدی"),
)
"""Names with signs or digits in them, before either is read alone."""

RULES = (
    Rule(_DOTTED_ACRONYM, lambda found: spelt(found.group())),
    Rule(_POSSESSIVE, lambda _: ""),
    Rule(_HYPHEN, lambda _: ""),
    Rule(_AND, lambda _: "اند"),
    Rule(_WORD, lambda found: latin_word(found[1]) + (f"\u200c{found[2]}" if found[2] else "")),
    Rule(_GREEK_WORD, lambda found: found.group().lower().translate(_GREEK_SOUNDS)),
    Rule(_GREEK_LETTER, _greek),
    Rule(_CYRILLIC_WORD, lambda found: found.group().lower().translate(_CYRILLIC)),
)
