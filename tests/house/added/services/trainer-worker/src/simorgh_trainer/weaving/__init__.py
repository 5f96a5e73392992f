"""Weaves feathers."""
