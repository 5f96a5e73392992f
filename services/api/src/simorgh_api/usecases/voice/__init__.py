"""Hearing and speaking: which model or voice is meant, jobs for it, and what came of them."""
