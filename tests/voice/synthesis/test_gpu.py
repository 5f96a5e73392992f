"""A VITS voice on a GPU."""

from pathlib import Path

import numpy as np

from simorgh_voice.engine.synthesis import vits
from tests.support.gpu import needs_gpu
from tests.support.voices import make_vits_folder

pytestmark = needs_gpu


def test_it_speaks_there(tmp_path: Path) -> None:
    """R-VOICE-2: the same sentence gives sound, and the same sound again."""
    make_vits_folder(tmp_path)
    voice = vits.load(tmp_path, device="cuda", threads=1)
    one, other = (voice.speak("سلام دنیا", speed=1.0, pitch=1.0, is_cancelled=lambda: False).samples for _ in range(2))
    assert len(one) > 1_000
    assert np.abs(one).max() > 0
    assert one.shape == other.shape
