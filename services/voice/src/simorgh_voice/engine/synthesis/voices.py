"""What every voice is to the synthesis, whichever engine speaks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono, between -1 and 1."""


class Cancelled(Exception):  # noqa: N818 -- not an error, somebody asked for it
    """The request was cancelled while it was spoken."""


@dataclass(frozen=True)
class Utterance:
    """A sentence as it was spoken, and what of it was not."""

    samples: Samples
    dropped: frozenset[str] = frozenset()
    """Letters that the voice does not know."""


class Voice(Protocol):
    """An engine with one voice loaded."""

    @property
    def language(self) -> str: ...

    @property
    def sample_rate(self) -> int: ...

    @property
    def memory_bytes(self) -> int: ...

    @property
    def has_pitch(self) -> bool: ...

    def speak(self, sentence: str, *, speed: float, pitch: float, is_cancelled: Callable[[], bool]) -> Utterance:
        """The samples of one sentence; none where nothing in it can be spoken.

        Raises: Cancelled.
        """
