"""Batches: the requests of a file, asked line by line (R-CHAT-6)."""
