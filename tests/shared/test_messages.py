"""The one catalogue of sentences for users."""

import re
from pathlib import Path

from simorgh_shared.domain.messages import codes

_ROOT = Path(__file__).parents[2]
# A line of a batch is refused in its own words, as OpenAI's error files have them.
_RAISED = re.compile(r"\b(?:(?!LineMisfit)[A-Z]\w*Error|AppError|sentence)\(\s*\"([a-z0-9_]+)\"")


def test_every_code_that_is_raised_has_a_sentence() -> None:
    """R-API-3: an error without its sentence would be a crash instead of an answer."""
    raised = {
        match.group(1)
        for folder in ("shared", "services", "deploy")
        for path in (_ROOT / folder).rglob("src/**/*.py")
        for match in _RAISED.finditer(path.read_text("utf-8"))
    }
    assert len(raised) > 40
    assert raised - codes() == set()
