"""The format of models that begin here: each segment stands between its role's marker and `<|end|>`."""

from collections.abc import Callable, Collection, Iterator, Sequence

from tokenizers import Tokenizer

from simorgh_trainer.training.data import Row
from simorgh_trainer.training.formats.row_format import ANSWERS, Encoded, with_labels
from simorgh_trainer.training.tokenizer import END, ROLE_MARKERS, encode_texts, special_id

_ROWS_AT_ONCE = 4_096


class Markers:
    """A row becomes `<|user|>question<|end|><|assistant|>answer<|end|>` (a plain text `<|text|>text<|end|>`).

    The roles' markers are given, never predicted: whoever serves the model puts them there. `<|end|>` is predicted, so
    each learnt segment costs its characters and one end symbol.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._end = special_id(tokenizer, END)
        self._markers = {role: special_id(tokenizer, token) for role, token in ROLE_MARKERS.items()}

    @property
    def end_ids(self) -> Collection[int]:
        """`<|end|>`."""
        return {self._end}

    def encode_all(self, rows: Sequence[Row]) -> Iterator[Encoded]:
        """Rows with labels in every segment and its end."""
        return self._encode(rows, lambda _: True)

    def encode_answers(self, rows: Sequence[Row]) -> Iterator[Encoded]:
        """Rows with labels in the answers and their ends."""
        return self._encode(rows, lambda role: role == ANSWERS)

    def prompt(self, row: Row) -> list[int]:
        """The ids that an answer to these segments follows."""
        ids = []
        for (role, _), text_ids in zip(row, encode_texts(self._tokenizer, [text for _, text in row]), strict=True):
            ids += [self._markers[role], *text_ids, self._end]
        return [*ids, self._markers[ANSWERS]]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids without markers."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def _encode(self, rows: Sequence[Row], is_learnt: Callable[[str], bool]) -> Iterator[Encoded]:
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE]
            texts = iter(encode_texts(self._tokenizer, [text for row in some for _, text in row]))
            for row in some:
                tokens: list[int] = []
                learnt: list[bool] = []
                for role, _ in row:
                    ids = next(texts)
                    tokens += [self._markers[role], *ids, self._end]
                    learnt += [False, *[is_learnt(role)] * (len(ids) + 1)]
                yield with_labels(tokens, learnt)
