"""Makes speech slower or faster at the same pitch, where an engine's own speed ends. By FFmpeg's atempo."""

import av
import numpy as np
from av.filter import Graph

from simorgh_voice.engine.synthesis.voices import Samples

_SLOWEST = 0.5  # of one filter; slower takes two


def stretched(samples: Samples, sample_rate: int, tempo: float) -> Samples:
    """The samples at `tempo` times their speed."""
    if abs(tempo - 1.0) < 0.02 or not len(samples):
        return samples
    factors = []
    while tempo < _SLOWEST:
        factors.append(_SLOWEST)
        tempo /= _SLOWEST
    graph = Graph()
    source = graph.add_abuffer(sample_rate=sample_rate, format="flt", layout="mono")
    filters = [graph.add("atempo", f"{factor:.6f}") for factor in (*factors, tempo)]
    graph.link_nodes(source, *filters, graph.add("abuffersink")).configure()
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[np.newaxis, :], format="flt", layout="mono")
    frame.sample_rate = sample_rate
    frame.pts = 0
    graph.push(frame)
    graph.push(None)
    blocks: list[Samples] = []
    while True:
        try:
            blocks.append(graph.pull().to_ndarray().reshape(-1).astype(np.float32, copy=False))
        except (av.EOFError, av.BlockingIOError):
            return np.concatenate(blocks) if blocks else samples[:0]
