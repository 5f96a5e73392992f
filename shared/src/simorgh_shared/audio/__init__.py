"""Sound: what a clip is. PyAV is imported where it is used, and only in children."""
