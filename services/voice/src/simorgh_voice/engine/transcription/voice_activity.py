"""Where somebody speaks, by the Silero model that comes with faster-whisper, as the samples come.

Source of the network and its inputs: https://github.com/snakers4/silero-vad (MIT).
"""

from functools import cache
from pathlib import Path
from typing import Any

import faster_whisper
import numpy as np
import onnxruntime

from simorgh_shared.audio.samples import SAMPLE_RATE, Samples

WINDOW = 512
"""Samples that get one probability together: 32 ms."""
_CONTEXT = 64
_STATE = 128
_SPEECH, _SILENCE = 0.5, 0.35
_PAUSE_WINDOWS = round(0.16 * SAMPLE_RATE / WINDOW)
_MODEL = "silero_vad_v6.onnx"


class SpeechProbabilities:
    """Probabilities of speech, one a window; the network remembers what it heard before."""

    def __init__(self) -> None:
        self._session = _session()
        self._hidden = np.zeros((1, 1, _STATE), np.float32)
        self._cell = np.zeros((1, 1, _STATE), np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)

    def of(self, windows: Samples) -> Samples:
        """The probabilities of whole windows. Shapes: (n * WINDOW,) -> (n,)."""
        rows = windows.reshape(-1, WINDOW)
        contexts = np.concatenate([self._context[None], rows[:-1, -_CONTEXT:]])
        self._context = rows[-1, -_CONTEXT:].copy()
        given = {"input": np.concatenate([contexts, rows], axis=1), "h": self._hidden, "c": self._cell}
        output, self._hidden, self._cell = self._session.run(None, given)
        probabilities: Samples = np.asarray(output, np.float32).reshape(-1)
        return probabilities


class PieceFinder:
    """Pieces of speech between pauses, in samples from where it began; never longer than `longest_windows`."""

    def __init__(self, longest_windows: int) -> None:
        self._longest = longest_windows
        self._probabilities: list[float] = []
        """Of the piece that is open, from its first window on."""
        self._first = 0
        self._num_windows = 0
        self._pause: int | None = None
        """The window with which the pause began that may end the piece."""

    @property
    def open_from(self) -> int | None:
        """Where the piece begins that has not ended."""
        return self._first * WINDOW if self._probabilities else None

    def take(self, probabilities: Samples) -> list[tuple[int, int]]:
        """The pieces that have ended by now."""
        pieces = []
        for probability in probabilities.tolist():
            piece = self._step(probability)
            if piece is not None:
                pieces.append(piece)
        return pieces

    def finish(self) -> list[tuple[int, int]]:
        """The piece that was open at the end."""
        if not self._probabilities:
            return []
        last = self._num_windows if self._pause is None else self._pause
        self._probabilities = []
        return [(self._first * WINDOW, last * WINDOW)]

    def _step(self, probability: float) -> tuple[int, int] | None:
        window = self._num_windows
        self._num_windows += 1
        if not self._probabilities:
            if probability >= _SPEECH:
                self._first, self._probabilities, self._pause = window, [probability], None
            return None
        self._probabilities.append(probability)
        if probability >= _SPEECH:
            self._pause = None
        elif probability < _SILENCE and self._pause is None:
            self._pause = window
        if self._pause is not None and window - self._pause >= _PAUSE_WINDOWS:
            return self._cut(self._pause, keep_rest=False)
        if len(self._probabilities) >= self._longest:
            tail = self._longest * 2 // 3  # where it is quietest in the last third
            return self._cut(self._first + tail + int(np.argmin(self._probabilities[tail:])), keep_rest=True)
        return None

    def _cut(self, at: int, *, keep_rest: bool) -> tuple[int, int]:
        piece = (self._first * WINDOW, at * WINDOW)
        self._probabilities = self._probabilities[at - self._first :] if keep_rest else []
        self._first, self._pause = at, None
        return piece


@cache
def _session() -> Any:
    """One session for the process: it holds no state, and one thread is enough for 400 times the speed of sound."""
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    path = Path(faster_whisper.__file__).parent / "assets" / _MODEL
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"], sess_options=options)
