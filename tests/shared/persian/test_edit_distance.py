"""Bit-parallel alignment against the textbook's matrix."""

import random
import time
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from simorgh_shared.persian.edit_distance import Edit, align

SHORT = st.text(alphabet="ابپت", max_size=14)
NUM_CHARACTERS_OF_AN_HOUR = 60_000


def _matrix_distance(reference, hypothesis) -> int:
    row = list(range(len(hypothesis) + 1))
    for number, item in enumerate(reference, start=1):
        following = [number]
        for column, other in enumerate(hypothesis, start=1):
            following.append(min(row[column] + 1, following[-1] + 1, row[column - 1] + (item != other)))
        row = following
    return row[-1]


class TestAlign:
    @settings(max_examples=500, deadline=None)
    @given(SHORT, SHORT)
    def test_has_the_least_edits_and_gives_back_both(self, reference, hypothesis):
        """R-VOICE-5."""
        steps = align(reference, hypothesis)
        assert sum(step.edit is not Edit.EQUAL for step in steps) == _matrix_distance(reference, hypothesis)
        assert [step.reference for step in steps if step.edit is not Edit.INSERTION] == list(range(len(reference)))
        assert [step.hypothesis for step in steps if step.edit is not Edit.DELETION] == list(range(len(hypothesis)))
        for step in steps:
            if step.edit in (Edit.EQUAL, Edit.SUBSTITUTION):
                is_same = reference[step.reference] == hypothesis[step.hypothesis]
                assert is_same == (step.edit is Edit.EQUAL)

    def test_of_words(self):
        """R-VOICE-5: any items."""
        steps = align(["این", "یک", "کتاب", "خوب", "است"], ["این", "کتاب", "خیلی", "بد", "است"])
        assert [step.edit for step in steps] == ["equal", "deletion", "equal", "substitution", "insertion", "equal"]

    def test_over_several_blocks_of_columns(self):
        """R-VOICE-5."""
        drawn = random.Random(2)
        for _ in range(10):
            one, other = ([drawn.randrange(9) for _ in range(drawn.randint(150, 400))] for _ in range(2))
            assert sum(step.edit is not Edit.EQUAL for step in align(one, other)) == _matrix_distance(one, other)

    def test_an_hour_of_speech_takes_seconds_and_little_memory(self):
        """R-VOICE-5: 60,000 characters with every tenth one wrong; cell by cell it would be 3.6 billion steps."""
        drawn = random.Random(3)
        reference = "".join(drawn.choices("ابپتثجچحخدذرز ", k=NUM_CHARACTERS_OF_AN_HOUR))
        hypothesis = "".join(drawn.choice("ابپت") if drawn.random() < 0.1 else one for one in reference)
        start = time.process_time()
        steps = align(reference, hypothesis)
        assert time.process_time() - start < 30
        assert sum(step.edit is not Edit.EQUAL for step in steps) <= 0.1 * NUM_CHARACTERS_OF_AN_HOUR

    def test_memory_is_that_of_some_columns(self):
        """R-VOICE-5."""
        drawn = random.Random(4)
        one, other = ("".join(drawn.choices("ابپت", k=10_000)) for _ in range(2))
        tracemalloc.start()
        align(one, other)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < 8 * 2**20  # all columns would be 50 MB
