"""Counts tokens as a fresh model would see them: by the tokenizer that these rows give."""

from collections.abc import Iterator, Sequence
from itertools import islice

from simorgh_shared.datasets.statistics.lengths import Lengths
from simorgh_shared.datasets.statistics.sampling import Sample
from simorgh_shared.datasets.statistics.survey import TokenCounts
from simorgh_shared.datasets.statistics.tallies import WHOLE_ROW
from simorgh_shared.schemas.statistics import TokenizerNote
from simorgh_shared.schemas.training import PRESETS, SMALLEST_PRESET
from simorgh_trainer.training.tokenizer import encode_texts, train_tokenizer

_ROWS_AT_ONCE = 1_000
_LEARNT_ROWS = 20_000  # more rows change few of 2,048 tokens


def count_tokens(sample: Sample, num_characters: int) -> TokenCounts | None:
    """Tokens of each field and of whole rows in the sample, markers aside; None for an empty one."""
    learnt = sample.rows[:: max(1, len(sample.rows) // _LEARNT_ROWS)]
    tokenizer = train_tokenizer((text for row in learnt for _, text in row), PRESETS[SMALLEST_PRESET].vocab_size)
    lengths: dict[str, Lengths] = {}
    sampled_characters = 0
    for rows in _chunks(sample.rows):
        texts = [text for row in rows for _, text in row]
        counts = iter([len(ids) for ids in encode_texts(tokenizer, texts)])
        of_rows = []
        for row in rows:
            of_texts = list(islice(counts, len(row)))
            of_rows.append(sum(of_texts))
            for (field, _), count in zip(row, of_texts, strict=True):
                lengths.setdefault(field, Lengths()).add([count])
        sampled_characters += sum(map(len, texts))
        lengths.setdefault(WHOLE_ROW, Lengths()).add(of_rows)
    spreads = {field: spread for field, found in lengths.items() if (spread := found.spread()) is not None}
    if WHOLE_ROW not in spreads:
        return None
    num_tokens = spreads[WHOLE_ROW].total
    note = TokenizerNote(
        name=f"byte-level BPE learnt from these rows, as a fresh {SMALLEST_PRESET} gets it",
        vocab_size=tokenizer.get_vocab_size(),
        counted_rows=len(sample.rows),
        is_sample=sample.stride > 1,
        estimated_tokens=round(num_tokens * num_characters / max(1, sampled_characters)),
        characters_per_token=round(sampled_characters / max(1, num_tokens), 3),
    )
    return TokenCounts(spreads, note)


def _chunks(rows: Sequence[list[tuple[str, str]]]) -> Iterator[Sequence[list[tuple[str, str]]]]:
    for begin in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[begin : begin + _ROWS_AT_ONCE]
