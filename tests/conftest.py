"""Names the modules of tests/support that hold fixtures, each before those that import it."""

from pathlib import Path

_HERE = Path(__file__).parent
_FIXTURES = ("stack", "gateway", "inference")
pytest_plugins = [f"tests.support.{name}" for name in _FIXTURES if (_HERE / "support" / f"{name}.py").exists()]
