"""Loads every module of tests/support as a source of fixtures."""

from pathlib import Path

pytest_plugins = [
    f"tests.support.{path.stem}"
    for path in sorted((Path(__file__).parent / "support").glob("*.py"))
    if path.stem != "__init__"
]
