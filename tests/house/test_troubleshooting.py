"""docs/troubleshooting.md: what it names is there."""

import re
from pathlib import Path

from simorgh_cli.cli import root
from simorgh_shared.domain.messages import codes
from simorgh_shared.schemas.training import TrainSpec

_ROOT = Path(__file__).parents[2]
_TEXT = (_ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
_OTHER_WORDS = {"request_id", "on_error", "checkpoint_lost"}
"""A field, a form's field and an event."""


class TestTroubleshooting:
    """Issue 4, 8: symptoms that a user meets, by the words that the user sees."""

    def test_every_code_and_parameter_is_one(self) -> None:
        """A renamed code is found here."""
        named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", _TEXT))
        assert named - codes() - set(TrainSpec.model_fields) == _OTHER_WORDS & named
        assert len(named & codes()) > 15

    def test_every_command_is_one(self) -> None:
        """Of `simorgh` and of make."""
        commands = set(re.findall(r"`simorgh ([a-z]+)", _TEXT))
        assert commands <= set(root.list_commands(None))  # type: ignore[arg-type]
        targets = re.findall(r"^([a-z-]+):", (_ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(re.findall(r"`make ([a-z-]+)", _TEXT)) <= set(targets)

    def test_the_readme_leads_there(self) -> None:
        """Where a newcomer looks first."""
        assert "docs/troubleshooting.md" in (_ROOT / "README.md").read_text(encoding="utf-8")
