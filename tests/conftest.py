"""Names the modules of tests/support that hold fixtures, each before those that import it."""

import os
from pathlib import Path

# As in every process with torch (architecture, section 5), before any test module imports it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
# Tests of the engines choose for themselves; elsewhere no model is converted beside what is tested.
os.environ.setdefault("SIMORGH_ENGINE", "transformers")

_HERE = Path(__file__).parent
_FIXTURES = ("stack", "gateway", "inference")
pytest_plugins = [f"tests.support.{name}" for name in _FIXTURES if (_HERE / "support" / f"{name}.py").exists()]
