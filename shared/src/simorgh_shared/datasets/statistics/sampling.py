"""Every so-manieth row, kept in memory: what is too slow to be done with all rows is done with these."""

import numpy as np

from simorgh_shared.datasets.statistics.reading import FIELDS, Batch, Field

SAMPLE_BYTES = 8 << 20
"""About so much of a file is kept: its texts take up to 40 MB in memory."""


class Sample:
    """Rows of a version of `num_bytes`; all of them where they are few."""

    def __init__(self, num_bytes: int) -> None:
        self.stride = max(1, -(-num_bytes // SAMPLE_BYTES))
        """One row of so many was taken."""
        self.rows: list[list[Field]] = []

    def add(self, batch: Batch) -> None:
        """Take what is due of these."""
        begins = np.cumsum(batch.texts_a_row) - batch.texts_a_row
        for row in range(-batch.first_row % self.stride, batch.num_rows, self.stride):
            texts = range(int(begins[row]), int(begins[row] + batch.texts_a_row[row]))
            self.rows.append([(FIELDS[int(batch.fields[text])], batch.texts[text]) for text in texts])
