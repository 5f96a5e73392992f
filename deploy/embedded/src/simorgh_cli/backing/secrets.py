"""Owns the random passwords and keys of a data folder: made at the first start, for the owner's eyes."""

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path


class SecretStore:
    """Named random secrets in one 0600 file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, name: str) -> str:
        """The secret of that name, made at the first call: 32 random bytes in URL-safe letters."""
        return self.get_or_make(name, lambda: secrets.token_urlsafe(32))

    def get_or_make(self, name: str, make: Callable[[], str]) -> str:
        """The kept value of that name, or the one that `make` gives."""
        if name not in self._values:
            self._values[name] = make()
            write_private(self._path, json.dumps(self._values, indent=1))
        return self._values[name]


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, replaced in one step."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
