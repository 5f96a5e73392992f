"""What is known of a dataset version: its statistics, as the job that makes them writes them and the API shows them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

SplitName = Literal["train", "test"]
PersonalKind = Literal["national_id", "phone", "iban", "card", "email"]
Language = Literal["persian", "arabic", "arabic_script", "latin", "other", "mixed", "none"]
StatisticsStatus = Literal["queued", "running", "ready", "failed"]


class _Part(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True, frozen=True)


class Place(_Part):
    """Where a row stands: a line of the file that `GET /api/datasets/{id}/download` gives."""

    split: SplitName
    line: int


class ShownRow(Place):
    """A row with the beginning of what it says; what is personal is masked."""

    excerpt: str


class Bin(_Part):
    """How many values lie from `low` to `high`, both counted in."""

    low: int
    high: int
    count: int


class Spread(_Part):
    """How values are spread. A quantile is the least value that so many of them do not exceed (nearest rank)."""

    count: int
    """How many values were counted."""
    total: int
    mean: float
    least: int
    p5: int
    p25: int
    p50: int
    p75: int
    p95: int
    p99: int
    most: int
    histogram: list[Bin]


class FieldStatistics(_Part):
    """One field of the rows; of chats each role is one, and each turn a value. `row` is all of a row."""

    field: str
    characters: Spread
    """Of every row: exact."""
    tokens: Spread | None
    """Of the rows that the tokenizer's note tells of; null where it saw none."""


class TokenizerNote(_Part):
    """Which tokenizer counted the tokens, and in which rows."""

    name: str
    vocab_size: int
    counted_rows: int
    is_sample: bool
    """False where every row was counted; else every so-manieth row was."""
    estimated_tokens: int
    """Of all rows; the count itself where there is no sample."""
    characters_per_token: float


class DuplicateGroup(_Part):
    """Rows that say the same."""

    num_rows: int
    similarity: float
    """1 for equal rows; else the least similarity by which a row came into the group."""
    places: list[Place]
    """The first ones."""
    excerpts: list[str]
    """How the first of them begin; one where they are equal."""


class Duplicates(_Part):
    """Groups of rows that say the same, the largest first."""

    num_groups: int
    num_rows: int
    """Rows that could go: all but the first of each group."""
    share: float
    """Of all rows."""
    groups: list[DuplicateGroup]


class NearDuplicates(Duplicates):
    """Groups of rows that differ in little."""

    threshold: float
    """Jaccard similarity of letter trigrams that each field has to reach; spaces, marks and case do not count."""
    is_complete: bool
    """False where so many rows are alike that not every pair was compared."""


class Leak(_Part):
    """A row of the test split that the train split gives away."""

    test: Place
    train: Place
    fields: list[str]
    """Which of the test row; for a near leak all."""
    similarity: float
    excerpt: str
    """Of the test row."""
    train_excerpt: str


class Leaks(_Part):
    """Leaks of one kind."""

    num_test_rows: int
    share: float
    """Of the test split's rows."""
    by_field: dict[str, int]
    """Test rows by the field that stands in train too."""
    pairs: list[Leak]


class Leakage(_Part):
    """What of the test split stands in the train split, after normalisation."""

    exact: Leaks
    """A field's letters and digits are those of any field of a train row."""
    near: Leaks
    """The whole row is a near duplicate of a train row."""


class LanguageShare(_Part):
    """How many rows are of one language, judged by their letters."""

    language: Language
    """`arabic_script`: Persian or Arabic, and no letter tells which. `mixed`: no script has three quarters of the
    letters. `none`: no letters."""
    rows: int
    share: float


class CodePoint(_Part):
    """A code point that Persian text should not hold."""

    code_point: str
    """Such as `U+064A`."""
    name: str
    becomes: str
    """What the normaliser makes of it; empty where it goes away."""
    count: int
    rows: int
    places: list[Place]


class CodePoints(_Part):
    """Arabic code points and presentation forms in place of Persian ones."""

    num_rows: int
    num_mixed_rows: int
    """Rows that write one letter or digit in both ways: a model learns two words for one."""
    mixed: list[Place]
    code_points: list[CodePoint]


class LongRow(ShownRow):
    """One of the longest rows."""

    characters: int


class PersonalFound(ShownRow):
    """Something personal, masked, with what stands around it."""

    field: str


class PersonalOfKind(_Part):
    """What was found of one kind."""

    kind: PersonalKind
    count: int
    rows: int
    found: list[PersonalFound]


class PersonalData(_Part):
    """What seems to belong to persons."""

    num_rows: int
    kinds: list[PersonalOfKind]
    num_invalid_national_ids: int
    """Ten-digit numbers that are no national ids by their checksum. They are not among the findings."""
    invalid_national_ids: list[PersonalFound] = []
    """The first of them, masked as the findings are. Empty in statistics made before they were kept."""


class SplitFacts(_Part):
    """One file of the version."""

    split: SplitName
    rows: int
    bytes: int
    sha256: str


class DatasetStatistics(_Part):
    """All that is known of a version. Lists show the first of what the counts beside them say."""

    format: Literal[1] = 1
    rows: int
    bytes: int
    sha256: str
    row_schema: str
    splits: list[SplitFacts]
    fields: list[FieldStatistics]
    tokenizer: TokenizerNote | None
    duplicates: Duplicates
    near_duplicates: NearDuplicates
    leakage: Leakage | None
    """Null without a test split."""
    languages: list[LanguageShare]
    code_points: CodePoints
    longest: list[LongRow]
    personal_data: PersonalData
    seconds: float
    """How long it took to find out."""


class StatisticsSummary(_Part):
    """The figures by which a dataset is judged at a glance; the whole is at `GET /api/datasets/{id}/statistics`."""

    characters: int
    tokens: int | None
    tokenizer: str | None
    duplicate_rows: int
    near_duplicate_rows: int
    leaking_test_rows: int | None
    near_leaking_test_rows: int | None
    languages: list[LanguageShare]
    foreign_code_point_rows: int
    personal_data: dict[PersonalKind, int]
    """How many were found of each kind; none are left out."""
    warnings: list[str]
    """What a person should look at before training, as sentences."""


class StatisticsState(_Part):
    """How far the statistics of a version are."""

    status: StatisticsStatus
    job_id: str | None
    progress: float | None
    """From 0 to 1, while they are made."""
    error: str | None
    """Why they failed, and what to do."""
    summary: StatisticsSummary | None
