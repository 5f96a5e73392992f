"""The kinds of speech jobs: what each needs from the registry, and what becomes of what its engine says."""
