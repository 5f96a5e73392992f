"""What a run is measured against: a character trigram of the same rows, and the answers to a few held-out prompts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from simorgh_shared.datasets.trigram import CharTrigram
from simorgh_trainer.training.data import Row
from simorgh_trainer.training.formats.row_format import ANSWERS, RowFormat
from simorgh_trainer.training.generate import answer
from simorgh_trainer.training.hardware import Hardware
from simorgh_trainer.training.model import Llama

NUM_PROMPTS = 5
_MOST_CHARACTERS = 2_000_000  # counting takes 2 s a million, and the memory of each context
_ANSWER_TOKENS = 96
_END = "\x03"
_CUT_CHARACTER = "\ufffd"
"""What the decoder writes for bytes of a character whose rest the limit has cut off."""


@dataclass(frozen=True)
class Prompt:
    """A held-out row up to an answer, and that answer."""

    row: Row
    expected: str


def choose_prompts(rows: Sequence[Row]) -> list[Prompt]:
    """The first prompts of rows that end in an answer, no question twice."""
    found: dict[Row, Prompt] = {}
    for row in rows:
        if len(row) > 1 and row[-1][0] == ANSWERS:
            found.setdefault(row[:-1], Prompt(row[:-1], row[-1][1]))
        if len(found) == NUM_PROMPTS:
            break
    return list(found.values())


def answers(model: Llama, row_format: RowFormat, prompts: Sequence[Prompt], hardware: Hardware) -> list[dict[str, str]]:
    """Greedy answers to the prompts, for the report."""
    told = []
    for prompt in prompts:
        ids = answer(model, row_format.prompt(prompt.row), row_format.end_ids, _ANSWER_TOKENS, hardware)
        text = row_format.decode(ids).rstrip(_CUT_CHARACTER)
        told.append({"prompt": prompt.row[-1][1], "expected": prompt.expected, "answer": text})
    return told


def trigram_per_char(train: Iterable[str], held_out: Iterable[str]) -> float | None:
    """Held-out nats a character of a trigram of the train texts, each text with one end symbol (Witten-Bell).

    Of very much text the first part is counted; None without held-out text.
    """
    scored = [text + _END for text in islice(held_out, 10_000)]
    if not scored:
        return None
    counted, characters = [], 0
    for text in train:
        counted.append(text + _END)
        characters += len(text)
        if characters >= _MOST_CHARACTERS:
            break
    return CharTrigram.fit(counted).nats_per_char(scored)
