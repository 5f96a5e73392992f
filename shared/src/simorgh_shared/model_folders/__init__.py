"""Model folders of unknown origin: unpacked, told by content, judged. Stdlib and msgspec alone, run in a child."""
