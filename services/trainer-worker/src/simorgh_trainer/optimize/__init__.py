"""The child that makes another form of a model and measures both. Files in, files out: no database, no network."""
