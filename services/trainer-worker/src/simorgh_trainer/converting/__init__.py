"""The child that makes rows of one kind from rows of another. Files in, files out: no database, no network."""
