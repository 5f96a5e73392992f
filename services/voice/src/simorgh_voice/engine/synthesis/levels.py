"""Even loudness and soft edges, so that sentences join without a step or a click."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from simorgh_voice.engine.synthesis.voices import Samples

_TARGET_RMS = 10 ** (-20 / 20)  # of the parts that are loud enough to count; about -20 LUFS for one voice
_CEILING = 10 ** (-1 / 20)  # what lossy formats add at the peaks stays below full scale
_MOST_GAIN = 10 ** (30 / 20)  # a sentence that is nearly silent stays quiet
_FRAME_S = 0.05
_GATE = 10 ** (-20 / 20)  # below the loudest frame by this much is a pause
_SILENCE = 10 ** (-50 / 20)  # below the peak by this much is nothing
_FADE_S = 0.005
_MARGIN_S = 0.02  # kept around the speech, for its softest sounds
_LOOKAHEAD_S = 0.005


def prepared(samples: Samples, sample_rate: int) -> Samples:
    """Speech without silence around it, at the loudness of all, faded in and out; empty where there is none."""
    speech = _trimmed(samples - np.float32(np.mean(samples)) if len(samples) else samples, sample_rate)
    if not len(speech):
        return speech
    loud = limited(speech * np.float32(min(_TARGET_RMS / loudness(speech, sample_rate), _MOST_GAIN)), sample_rate)
    num_fade = min(round(_FADE_S * sample_rate), len(loud) // 2)
    ramp = (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, num_fade))).astype(np.float32)
    loud[:num_fade] *= ramp
    loud[len(loud) - num_fade :] *= ramp[::-1]
    return loud


def loudness(samples: Samples, sample_rate: int) -> float:
    """The root mean square of the frames that are no pause."""
    num_frame = max(1, round(_FRAME_S * sample_rate))
    num_frames = max(1, len(samples) // num_frame)
    frames = np.array_split(samples.astype(np.float64), num_frames)
    powers = np.array([np.mean(frame**2) for frame in frames])
    counted = powers[powers >= powers.max() * _GATE**2]
    return float(np.sqrt(counted.mean())) or 1.0


def limited(samples: Samples, sample_rate: int) -> Samples:
    """The same without peaks above the ceiling: the gain sinks before each of them and comes back after."""
    peaks = np.abs(samples)
    if peaks.max(initial=0.0) <= _CEILING:
        return samples
    radius = max(1, round(_LOOKAHEAD_S * sample_rate))
    wanted = _CEILING / np.maximum(peaks, _CEILING)
    lowest = sliding_window_view(np.pad(wanted, 2 * radius, constant_values=1.0), 2 * radius + 1).min(axis=-1)
    # An average of minima that all reach over the peak is nowhere above what the peak needs.
    sums = np.cumsum(np.concatenate(([0.0], lowest)))
    gains = (sums[2 * radius + 1 :] - sums[: -2 * radius - 1]) / (2 * radius + 1)
    quieter: Samples = np.clip(samples * gains, -_CEILING, _CEILING).astype(np.float32)
    return quieter


def silence(seconds: float, sample_rate: int) -> Samples:
    """A pause."""
    return np.zeros(round(seconds * sample_rate), np.float32)


def _trimmed(samples: Samples, sample_rate: int) -> Samples:
    peaks = np.abs(samples)
    loudest = peaks.max(initial=0.0)
    if loudest < 1e-4:
        return samples[:0]
    heard = np.flatnonzero(peaks > loudest * _SILENCE)
    margin = round(_MARGIN_S * sample_rate)
    speech: Samples = samples[max(0, heard[0] - margin) : heard[-1] + margin + 1].astype(np.float32, copy=True)
    return speech
