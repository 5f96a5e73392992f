"""Speech synthesis: voices, and a text spoken sentence by sentence. Pure: knows no queue, database or storage.

`load` a voice once, then `synthesize` with it as often as asked, one text at a time.
"""

from pathlib import Path

from simorgh_shared.speech.voices import ESPEAK_PREFIX
from simorgh_voice.engine.synthesis.pipeline import synthesize
from simorgh_voice.engine.synthesis.spec import SynthesisSpec
from simorgh_voice.engine.synthesis.voices import Cancelled, Voice

__all__ = ["Cancelled", "SynthesisSpec", "Voice", "load", "synthesize"]


def load(voice: str, model_dir: Path | None, *, device: str, threads: int) -> Voice:
    """The voice `espeak:LANGUAGE`, or the one of a VITS folder.

    Raises: AppError where it cannot speak, with the reason.
    """
    if voice.startswith(ESPEAK_PREFIX):
        from simorgh_voice.engine.synthesis import espeak  # GPL-3.0: loaded where it is asked for alone

        return espeak.load(voice.removeprefix(ESPEAK_PREFIX))
    assert model_dir is not None
    from simorgh_voice.engine.synthesis import vits  # torch: seconds, and not needed by eSpeak

    return vits.load(model_dir, device=device, threads=threads)
