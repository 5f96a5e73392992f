"""Speech to text: decoded sound is cut at silences, heard in batches by Whisper, and told group by group."""

from simorgh_voice.engine.transcription.model import Transcriber, load
from simorgh_voice.engine.transcription.run import transcribe
from simorgh_voice.engine.transcription.spec import Cancelled, Moved, Resume, TranscriptionSpec

__all__ = ["Cancelled", "Moved", "Resume", "Transcriber", "TranscriptionSpec", "load", "transcribe"]
