"""Persian text as a voice says it (R-VOICE-3): numbers, dates, money, addresses and Latin words become Persian words."""

from simorgh_shared.persian.speakable.text import speakable

__all__ = ["speakable"]
