"""From a text to the numbers of a VITS voice's letters, as its tokenizer makes them; what it does not know is told.

It reads `vocab.json` and `tokenizer_config.json` itself: a voice that needs a program to spell its text is refused.
"""

import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simorgh_shared.domain.errors import InvalidInputError

_ZWNJ = "\u200c"
_ALIKE = {
    "ی": "ي", "ي": "ی", "ى": "ی", "ک": "ك", "ك": "ک", "ۀ": "ه", "ة": "ه", "ە": "ه", "أ": "ا", "إ": "ا", "ٱ": "ا",
    "ؤ": "و", "ئ": "ی", "’": "'", "‘": "'", "–": "-", "—": "-", _ZWNJ: " ",
}  # fmt: skip
"""Another spelling of a letter that a voice may know instead."""
_ROMANIAN = {"ț": "ţ"}  # as the tokenizer of MMS spells it


@dataclass(frozen=True)
class Letters:
    """What a voice can read."""

    numbers: dict[str, int]
    add_blank: bool
    normalize: bool
    language: str

    @classmethod
    def read(cls, folder: Path) -> "Letters":
        """From a model folder.

        Raises: InvalidInputError `speech_voice_unfit`.
        """
        vocabulary = _object(folder / "vocab.json")
        settings = _object(folder / "tokenizer_config.json")
        if settings.get("is_uroman"):
            raise _unfit("its text has to be romanised by uroman first, which is not done here")
        if settings.get("phonemize", True):  # the tokenizer's own default
            raise _unfit("its text has to be turned into phonemes first, which is not done here")
        numbers = {letter: number for letter, number in vocabulary.items() if isinstance(number, int)}
        if not numbers:
            raise _unfit("vocab.json holds no letters")
        return cls(
            {letter: number for letter, number in numbers.items() if len(letter) == 1},
            bool(settings.get("add_blank", True)),
            bool(settings.get("normalize", True)),
            str(settings.get("language") or ""),
        )

    def spell(self, text: str) -> tuple[list[int], frozenset[str]]:
        """The numbers of a text's letters with blanks between them, and the letters and digits that were left out.

        Empty where nothing of it can be said.
        """
        spelt: list[str] = []
        dropped: set[str] = set()
        for char in unicodedata.normalize("NFC", text):
            known = self._known(char)
            if known is None:
                dropped |= {char} if char.isalnum() else set()
            elif known != " " or (spelt and spelt[-1] != " "):
                spelt.append(known)
        words = "".join(spelt).strip()
        if not any(char.isalnum() for char in words):
            return [], frozenset(dropped)
        numbers = [self.numbers[letter] for letter in words]
        if self.add_blank:
            blanked = [0] * (2 * len(numbers) + 1)
            blanked[1::2] = numbers
            numbers = blanked
        return numbers, frozenset(dropped)

    def _known(self, char: str) -> str | None:
        """The letter that the voice reads for one of the text."""
        if self.language == "ron":
            char = _ROMANIAN.get(char, char)
        choices = [char, char.lower() if self.normalize else char, _ALIKE.get(char, char)]
        choices.append(unicodedata.normalize("NFD", choices[1])[0])  # é is e where é is unknown
        for choice in choices:
            if choice in self.numbers:
                return choice
        return " " if char.isspace() and " " in self.numbers else None


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _unfit(f"{path.name} cannot be read") from error
    if not isinstance(value, dict):
        raise _unfit(f"{path.name} is no JSON object")
    return value


def _unfit(reason: str) -> InvalidInputError:
    return InvalidInputError("speech_voice_unfit", reason=reason)
