"""Word and character error rates of transcripts (R-VOICE-5), plain and normalised, with the alignment of each sample.

Plain dataclasses of numbers and strings: `dataclasses.asdict` and msgspec make JSON of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from simorgh_shared.persian.edit_distance import Edit, align
from simorgh_shared.persian.normaliser import NORMALISER_VERSION
from simorgh_shared.persian.scored_text import SCORING_VERSION, ScoredForm, scored_text

FORMS = (ScoredForm.PLAIN, ScoredForm.NORMALISED)
LONGEST_ALIGNED_CHARACTERS = 100_000
"""Of the longer of both texts; some 80 minutes of speech. Beyond it memory and time are no longer those of a score."""


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """What became of the reference's items (words or characters), and what was added."""

    num_reference: int
    hits: int
    substitutions: int
    deletions: int
    insertions: int
    rate: float
    """Errors for each item of the reference; may pass 1. For an empty reference 0 where nothing was heard, else 1."""

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """One step of a sample's alignment."""

    edit: Edit
    reference: str | None
    """None for an insertion."""
    hypothesis: str | None
    """None for a deletion."""


@dataclass(frozen=True, slots=True)
class FormScore:
    """Scores of a sample in one form."""

    words: ErrorCounts
    characters: ErrorCounts
    """Blanks between words count as characters."""
    alignment: list[AlignedWord]


@dataclass(frozen=True, slots=True)
class SampleScore:
    """Scores of one transcript, by form."""

    reference: str
    hypothesis: str
    forms: dict[ScoredForm, FormScore]


@dataclass(frozen=True, slots=True)
class FormTotals:
    """Counts of all samples together, not the mean of their rates: a long sample weighs more than a short one."""

    words: ErrorCounts
    characters: ErrorCounts


@dataclass(frozen=True, slots=True)
class CorpusScore:
    """Scores of a set of transcripts."""

    rules: str
    """Two scores with the same rules may be compared."""
    num_samples: int
    totals: dict[ScoredForm, FormTotals]
    samples: list[SampleScore]


def error_counts(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCounts:
    """Counts of one pair, by items: a list of words, or a string for its characters."""
    return _counts([step.edit for step in align(reference, hypothesis)])


def word_error_rate(reference: str, hypothesis: str, form: ScoredForm = ScoredForm.NORMALISED) -> float:
    """WER of one pair."""
    return error_counts(scored_text(reference, form).split(), scored_text(hypothesis, form).split()).rate


def character_error_rate(reference: str, hypothesis: str, form: ScoredForm = ScoredForm.NORMALISED) -> float:
    """CER of one pair."""
    return error_counts(scored_text(reference, form), scored_text(hypothesis, form)).rate


def score_sample(reference: str, hypothesis: str, forms: Sequence[ScoredForm] = FORMS) -> SampleScore:
    """All scores of one transcript.

    Raises: ValueError for a text longer than LONGEST_ALIGNED_CHARACTERS.
    """
    if max(len(reference), len(hypothesis)) > LONGEST_ALIGNED_CHARACTERS:
        raise ValueError(
            f"a text to score has at most {LONGEST_ALIGNED_CHARACTERS} characters: cut it where speech pauses"
        )
    return SampleScore(reference, hypothesis, {form: _form_score(reference, hypothesis, form) for form in forms})


def score_corpus(pairs: Iterable[tuple[str, str]], forms: Sequence[ScoredForm] = FORMS) -> CorpusScore:
    """Scores of (reference, hypothesis) pairs and of all of them together."""
    return total_score([score_sample(reference, hypothesis, forms) for reference, hypothesis in pairs], forms)


def total_score(samples: Sequence[SampleScore], forms: Sequence[ScoredForm] = FORMS) -> CorpusScore:
    """Samples that were scored one by one, together."""
    totals = {
        form: FormTotals(
            words=_summed([sample.forms[form].words for sample in samples]),
            characters=_summed([sample.forms[form].characters for sample in samples]),
        )
        for form in forms
    }
    return CorpusScore(rules(), len(samples), totals, list(samples))


def counted(hits: int, substitutions: int, deletions: int, insertions: int) -> ErrorCounts:
    """Counts with their rate, for whoever has added them up."""
    num_reference = hits + substitutions + deletions
    errors = substitutions + deletions + insertions
    rate = errors / num_reference if num_reference else float(insertions > 0)
    return ErrorCounts(num_reference, hits, substitutions, deletions, insertions, rate)


def rules() -> str:
    """What a score is recorded with."""
    return f"speech-scoring/{SCORING_VERSION} persian-normaliser/{NORMALISER_VERSION}"


def _form_score(reference: str, hypothesis: str, form: ScoredForm) -> FormScore:
    scored_reference, scored_hypothesis = scored_text(reference, form), scored_text(hypothesis, form)
    said, heard = scored_reference.split(), scored_hypothesis.split()
    steps = align(said, heard)
    return FormScore(
        words=_counts([step.edit for step in steps]),
        characters=error_counts(scored_reference, scored_hypothesis),
        alignment=[
            AlignedWord(
                step.edit,
                None if step.edit is Edit.INSERTION else said[step.reference],
                None if step.edit is Edit.DELETION else heard[step.hypothesis],
            )
            for step in steps
        ],
    )


def _counts(edits: list[Edit]) -> ErrorCounts:
    return counted(*(edits.count(edit) for edit in (Edit.EQUAL, Edit.SUBSTITUTION, Edit.DELETION, Edit.INSERTION)))


def _summed(counts: Sequence[ErrorCounts]) -> ErrorCounts:
    return counted(
        sum(one.hits for one in counts),
        sum(one.substitutions for one in counts),
        sum(one.deletions for one in counts),
        sum(one.insertions for one in counts),
    )
