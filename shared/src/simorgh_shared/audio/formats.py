"""The formats that speech is given in: their media types and suffixes. Stdlib only, for the gateway reads it too."""

from enum import StrEnum


class SpeechFormat(StrEnum):
    """What a caller may ask for (R-VOICE-2)."""

    MP3 = "mp3"
    OPUS = "opus"
    """Opus in Ogg."""
    AAC = "aac"
    """AAC in ADTS frames."""
    FLAC = "flac"
    WAV = "wav"
    PCM = "pcm"
    """Samples of 16 bits, little-endian, 24,000 a second, without a header."""

    @property
    def media_type(self) -> str:
        """For Content-Type."""
        return _MEDIA_TYPES[self]

    @property
    def suffix(self) -> str:
        """Of a file's name, with its dot."""
        return _SUFFIXES.get(self, f".{self.value}")


_MEDIA_TYPES = {
    SpeechFormat.MP3: "audio/mpeg",
    SpeechFormat.OPUS: "audio/ogg",
    SpeechFormat.AAC: "audio/aac",
    SpeechFormat.FLAC: "audio/flac",
    SpeechFormat.WAV: "audio/wav",
    SpeechFormat.PCM: "audio/pcm",
}
_SUFFIXES = {SpeechFormat.OPUS: ".ogg"}

PCM_SAMPLE_RATE = 24_000  # what OpenAI's clients play headerless samples at
