"""A character trigram model: the named baseline that a trained language model must beat.

Interpolated Witten-Bell smoothing over contexts of two, one and no characters, above a uniform distribution
over the observed symbols and one for the unknown.

Counting, the same for every model compared: a question/answer row is question, end, answer, end. The nats
of all its symbols are summed, the two ends included, and divided by the characters of question and answer
plus 2 (`held_out_text_characters`).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

from simorgh_shared.datasets.rows import QaRow

_END = "\x03"
_START = "\x02\x02"


def held_out_text_characters(row: QaRow) -> int:
    """The denominator of nats per character: the characters of both sentences and one end each."""
    return len(row.question) + len(row.answer) + 2


def row_text(row: QaRow) -> str:
    """The symbols of a row as the model counts them."""
    return f"{row.question}{_END}{row.answer}{_END}"


class CharTrigram:
    """Counts of one training text; `fit` makes it."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._totals: Counter[str] = Counter()
        self._num_symbols = 1  # the unknown

    @classmethod
    def fit(cls, texts: Iterable[str]) -> "CharTrigram":
        """The model of these texts, each with its end symbols (`row_text`)."""
        model = cls()
        for text in texts:
            padded = _START + text
            for place in range(2, len(padded)):
                for order in range(3):
                    model._counts[padded[place - order : place]][padded[place]] += 1
        model._totals = Counter({context: counts.total() for context, counts in model._counts.items()})
        model._num_symbols = len(model._counts[""]) + 1
        return model

    def probability(self, context: str, symbol: str) -> float:
        """The smoothed probability of a symbol after the two symbols of `context`."""
        estimate = 1 / self._num_symbols
        for order in range(3):
            history = context[len(context) - order :]
            total = self._totals[history]
            if total:
                seen = self._counts[history]
                estimate = (seen[symbol] + len(seen) * estimate) / (total + len(seen))
        return estimate

    def nats(self, text: str) -> float:
        """The negative log-likelihood of all symbols of a text."""
        padded = _START + text
        return -sum(
            math.log(self.probability(padded[place - 2 : place], padded[place])) for place in range(2, len(padded))
        )

    def nats_per_char(self, texts: Iterable[str]) -> float:
        """Nats per symbol; over `row_text` of rows the denominator is `held_out_text_characters`."""
        nats = symbols = 0.0
        for text in texts:
            nats += self.nats(text)
            symbols += len(text)
        if not symbols:
            raise ValueError("there is no text to score")
        return nats / symbols
