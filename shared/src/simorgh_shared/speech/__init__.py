"""What was said and when: transcripts and subtitles. Standard library and msgspec alone: the gateway loads it."""
