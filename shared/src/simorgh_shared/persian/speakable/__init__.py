"""Persian text as a voice says it (R-VOICE-3): numbers, dates, money, addresses, Latin words."""

from simorgh_shared.persian.speakable.text import speakable

__all__ = ["speakable"]
