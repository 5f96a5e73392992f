"""ZWNJ between a Persian word and its affix, where a space stands today or nothing; only where the word list allows.

Reads words of text whose protected spans are hidden and whose blanks are single. Never joins over a line break.
"""

import re

from simorgh_shared.persian.alphabet import JOINING, LETTERS, MARKS, NON_JOINING, WORD, ZWNJ
from simorgh_shared.persian.lexicon import (
    CALLED,
    EYES,
    GRADED,
    GRADED_ENDINGS,
    LETTER_NAMES,
    NAMES_AFTER_OMM,
    NO_STEM,
    NOT_SILENT_HEH,
    ONE_WORD,
    PLURAL_STEMS,
    WINE,
)
from simorgh_shared.persian.verbs import follows_mi, is_spoken_to

LONGEST_WORD_CHARACTERS = 40
"""Looked back at from an affix; a longer row of letters is no word, and reading all of it takes quadratic time."""

_POSSESSIVES = ("م", "ت", "ش", "مان", "تان", "شان")
_PLURAL = ("ها", "های", "هایی", "هاتون", "هاشون", *(f"های{ending}" for ending in _POSSESSIVES))
_MORE = ("تر", "تری", "ترین", "ترها", "ترهای", "ترین‌ها", "ترین‌های")
_AFTER_HEH = ("ام", "ای", "ایم", "اید", "اند", "اش", "ات", "ی", "مان", "تان", "شان", "مون", "تون", "شون")
_AFTER_HEH_LONG = ("اشان", "اتان", "امان")


def _any_of(*words: str) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_LETTER = f"[{LETTERS}]"
_APART = re.compile(f" ({_any_of(*_PLURAL, *_MORE, *_AFTER_HEH, *_AFTER_HEH_LONG)})(?![{WORD}])")
_MI_APART = re.compile(f"(?<![{WORD}])(ن?می) (?=([{WORD}]{{2,20}}+)(?![{WORD}]))")
_MI_GLUED = re.compile(f"(?<![{WORD}])(ن?می)(?=([{LETTERS}{MARKS}]{{2,20}}+)(?![{WORD}]))")
_PLURAL_GLUED = re.compile(f"(?<=[{JOINING}])({_any_of(*_PLURAL)})(?![{WORD}])")
_MORE_GLUED = re.compile(f"(?<=[{JOINING}])(تر|تری|ترین)(?![{WORD}])")
_LAST_WORD = re.compile(f"[{WORD}]++$")
_NEXT_WORD = re.compile(f" ([{WORD}]++)")
_FRESH = re.compile(f" و تازه(?![{WORD}])(?! تر)")
_ANY_MARK = re.compile(f"[{MARKS}]")
_LAUGH = re.compile("[هها]+")
_ENDS_OPEN = re.compile(f"[{NON_JOINING}][{MARKS}]*+$")


def join_affixes(text: str) -> str:
    """می روم becomes می‌روم, کتاب ها and کتابها become کتاب‌ها, خانه ام becomes خانه‌ام; میلاد and تنها stay."""
    text = _MI_GLUED.sub(_split_mi, _MI_APART.sub(_join_mi, text))
    text = _APART.sub(_join_ending, text)
    return _MORE_GLUED.sub(_split_more, _PLURAL_GLUED.sub(_split_plural, text))


def _join_mi(found: re.Match[str]) -> str:
    is_verb = follows_mi(_bare(found[2])) and _word_before(found.string, found.start() - 1) not in WINE
    return f"{found[1]}{ZWNJ}" if is_verb else found.group()


def _split_mi(found: re.Match[str]) -> str:
    rest = _bare(found[2])
    whole = found[1] + rest
    is_colour = whole == "میشی" and _word_before(found.string, found.start() - 1) in EYES
    return found[1] if is_colour or whole in ONE_WORD or not follows_mi(rest) else f"{found[1]}{ZWNJ}"


def _join_ending(found: re.Match[str]) -> str:
    ending = found[1]
    stem = _word_before(found.string, found.start())
    following = _NEXT_WORD.match(found.string, found.end())
    next_word = _bare(following[1]) if following else ""
    if len(stem) < 2 or not _belongs(stem, ending, next_word, found):
        return found.group()
    if ending in _MORE and stem + ending in ONE_WORD:
        return ending  # کم تر is written کمتر
    return ending if _ENDS_OPEN.search(stem) else f"{ZWNJ}{ending}"


def _belongs(stem: str, ending: str, next_word: str, found: re.Match[str]) -> bool:
    if ending in _PLURAL:
        return _takes_plural(stem, ending, found)
    if ending in _MORE:
        return _is_graded(stem, ending, found)
    return _ends_in_silent_heh(stem) and _is_ending(ending, next_word)


def _takes_plural(stem: str, ending: str, found: re.Match[str]) -> bool:
    is_exclaimed = ending == "ها" and found.string.startswith("!", found.end())
    if stem in NO_STEM or is_spoken_to(stem, is_exclaimed):
        return False
    return not (is_exclaimed and stem.endswith("ه"))  # خوبه ها! looks like خانه ها!, and is the likelier one


def _is_graded(stem: str, ending: str, found: re.Match[str]) -> bool:
    if ending.startswith("ترین"):
        return stem not in NO_STEM and not stem.endswith(("ها", "های"))
    if ending == "تر" and _FRESH.match(found.string, found.end()):
        return False
    last = stem.rpartition(ZWNJ)[2]
    return stem in GRADED or last in GRADED or stem.endswith(GRADED_ENDINGS)


def _ends_in_silent_heh(stem: str) -> bool:
    if not stem.endswith(("ه", "هٔ")) or stem.endswith(("اه", "هٔ", "الله")):
        return False
    return stem not in NOT_SILENT_HEH and stem.rpartition(ZWNJ)[2] not in NOT_SILENT_HEH


def _is_ending(ending: str, next_word: str) -> bool:
    if ending in ("ام", "ای", "اش", "ات", "ی") and next_word in LETTER_NAMES:
        return False
    if ending == "ام":
        return next_word not in NAMES_AFTER_OMM and not next_word.startswith("ال")
    if ending == "ای":
        return next_word not in CALLED
    return not (ending == "شان" and next_word == "و")


def _split_plural(found: re.Match[str]) -> str:
    whole = _word_before(found.string, found.end())
    stem = whole.removesuffix(found[1])
    last = stem.rpartition(ZWNJ)[2]
    is_one = whole in ONE_WORD or last + found[1] in ONE_WORD or len(last) < 2 or _LAUGH.fullmatch(last) is not None
    if is_one or (found[1] == "های" and last not in PLURAL_STEMS):
        return found[1]
    return f"{ZWNJ}{found[1]}"


def _split_more(found: re.Match[str]) -> str:
    whole = _word_before(found.string, found.end())
    stem = whole.removesuffix(found[1]).rpartition(ZWNJ)[2]
    return found[1] if whole in ONE_WORD or stem not in GRADED else f"{ZWNJ}{found[1]}"


def _word_before(text: str, end: int) -> str:
    """The word that ends at `end`, without its marks; empty where none does, or one too long to be a word."""
    found = _LAST_WORD.search(text, max(0, end - LONGEST_WORD_CHARACTERS), max(0, end))
    if found is None or len(found.group()) == LONGEST_WORD_CHARACTERS:
        return ""
    return _bare(found.group())


def _bare(word: str) -> str:
    return _ANY_MARK.sub("", word)
