"""The child that takes in files which came straight to storage. Files in, files out: no database, no network."""
