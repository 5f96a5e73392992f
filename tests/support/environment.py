"""What a child that a test starts sees of the tests' own environment."""

import os

_NAMES = ("PATH", "HOME", "PYTHONPATH")


def inherited() -> dict[str, str]:
    """Where Python and its packages are, and nothing of the machine's own settings."""
    return {name: value for name, value in os.environ.items() if name in _NAMES}
