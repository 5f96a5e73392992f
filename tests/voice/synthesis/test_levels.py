"""Sentences are alike in loudness and join without a click (R-VOICE-2)."""

import numpy as np
import pytest

from simorgh_voice.engine.synthesis.levels import limited, loudness, prepared, silence
from simorgh_voice.engine.synthesis.stretching import stretched
from simorgh_voice.engine.synthesis.voices import Samples

RATE = 16_000


def tone(seconds: float, amplitude: float, hz: float = 200.0) -> Samples:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


class TestPrepared:
    def test_quiet_and_loud_come_out_alike(self) -> None:
        """R-VOICE-2: within a decibel."""
        levels = [loudness(prepared(tone(1.0, amplitude), RATE), RATE) for amplitude in (0.01, 0.1, 0.9)]
        assert max(levels) / min(levels) < 10 ** (1 / 20)

    def test_pauses_do_not_count(self) -> None:
        """R-VOICE-2: a sentence with many is no louder."""
        spoken = np.concatenate([tone(0.5, 0.3), silence(1.0, RATE), tone(0.5, 0.3)])
        assert loudness(spoken, RATE) == pytest.approx(loudness(tone(1.0, 0.3), RATE), rel=0.1)

    def test_silence_around_it_goes(self) -> None:
        """R-VOICE-2: pauses are ours."""
        around = np.concatenate([silence(1.0, RATE), tone(0.5, 0.3), silence(1.0, RATE)])
        assert len(prepared(around, RATE)) / RATE == pytest.approx(0.54, abs=0.01)

    def test_edges_are_soft(self) -> None:
        """R-VOICE-2: it begins and ends at nothing, though what came was cut off at its loudest."""
        cut = prepared(np.cos(2 * np.pi * 200 * np.arange(8_000) / RATE).astype(np.float32) + 0.1, RATE)
        assert abs(cut[0]) < 1e-3
        assert abs(cut[-1]) < 1e-3
        assert np.abs(np.diff(cut)).max() < 0.05

    @pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(100), np.full(100, 1e-5), np.full(100, 0.5)])
    def test_nothing_stays_nothing(self, samples: Samples) -> None:
        """R-VOICE-2: neither silence nor a constant is speech."""
        assert len(prepared(samples.astype(np.float32), RATE)) == 0


class TestLimited:
    def test_peaks_sink_without_a_step(self) -> None:
        """R-VOICE-2: no sample beyond the ceiling, and the gain moves slowly."""
        samples = tone(0.5, 0.3)
        samples[4_000:4_020] *= 8
        quiet = limited(samples, RATE)
        assert np.abs(quiet).max() <= 10 ** (-1 / 20) + 1e-6
        assert np.array_equal(quiet[:3_000], samples[:3_000])
        gains = quiet[3_900:4_100] / np.where(samples[3_900:4_100] == 0, 1, samples[3_900:4_100])
        moving = gains[np.abs(samples[3_900:4_100]) > 0.01]
        assert np.abs(np.diff(moving)).max() < 0.05

    def test_what_is_below_stays(self) -> None:
        """R-VOICE-2: nothing is touched without need."""
        assert limited(tone(0.1, 0.5), RATE) is not None
        assert np.array_equal(limited(tone(0.1, 0.5), RATE), tone(0.1, 0.5))


class TestStretched:
    @pytest.mark.parametrize("tempo", [0.3, 0.6, 1.5, 2.5])
    def test_length_changes_and_pitch_stays(self, tempo: float) -> None:
        """R-VOICE-2: speed without a higher voice."""
        out = stretched(tone(2.0, 0.5), RATE, tempo)
        assert len(out) == pytest.approx(2.0 * RATE / tempo, rel=0.05)
        strongest = np.argmax(np.abs(np.fft.rfft(out))) * RATE / len(out)
        assert strongest == pytest.approx(200, rel=0.03)
