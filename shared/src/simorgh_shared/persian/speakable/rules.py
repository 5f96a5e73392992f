"""What a rule of this package is: a pattern, and what is said for what it finds."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from simorgh_shared.persian.alphabet import MARKS, WORD
from simorgh_shared.persian.speakable.numbers import NUMBER

APART = rf"(?<![\w{MARKS}])"
"""No letter, mark or digit stands before."""
NO_LETTER = f"(?![{WORD}A-Za-z])"
"""No letter follows."""
NUMBER_BEGINS = r"(?<![\d.,٫٬/:])"
AMOUNT = rf"{NUMBER_BEGINS}{NUMBER}"


class Rule(NamedTuple):
    """Digits that `say` leaves are read by a later rule; letters and signs that it leaves too."""

    pattern: re.Pattern[str]
    say: Callable[[re.Match[str]], str]

    def __call__(self, text: str) -> str:
        return self.pattern.sub(self._said, text)

    def _said(self, found: re.Match[str]) -> str:
        said = self.say(found)
        return said if said == found.group() else f" {said} "


def apply(rules: Sequence[Rule], text: str) -> str:
    """Each rule once, in their order."""
    for rule in rules:
        text = rule(text)
    return text


def context(found: re.Match[str], num_characters: int) -> str:
    """What stands before a match, in its line."""
    start = max(0, found.start() - num_characters)
    return found.string[start : found.start()].rpartition("\n")[2]
