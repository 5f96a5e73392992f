"""docs/configuration.md: each variable once, as the settings classes have it (R-DEPLOY-4)."""

import re
import runpy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from simorgh_shared.settings import SimorghSettings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/configuration.md").read_text("utf-8")
SOURCES = ("shared/src", "services", "deploy/embedded/src")
_VARIABLE = re.compile(r"SIMORGH_[A-Z0-9_]*[A-Z0-9](?![A-Z0-9_])")


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "deploy/configuration.py"))


def subclasses(of: type) -> Iterable[type[SimorghSettings]]:
    for each in of.__subclasses__():
        yield each
        yield from subclasses(each)


class TestThePage:
    def test_it_is_what_the_settings_classes_say(self, written: dict[str, Any]) -> None:
        assert written["page"]() == PAGE, "run `make configuration`"

    def test_every_setting_is_explained(self, written: dict[str, Any]) -> None:
        assert written["unexplained"]() == []

    def test_each_variable_stands_there_once(self) -> None:
        rows = re.findall(r"^\| `(SIMORGH_[A-Z0-9_]+)` \|", PAGE, re.MULTILINE)
        assert len(rows) > 100
        assert sorted(rows) == sorted(set(rows))

    def test_every_settings_class_of_a_service_is_read_by_a_process(self, written: dict[str, Any]) -> None:
        """A class that no process of the page has would leave its variables out."""
        ours = [each for each in subclasses(SimorghSettings) if each.__module__.startswith("simorgh_")]
        fields = {f"SIMORGH_{name.upper()}" for each in ours for name in each.model_fields}
        assert fields - set(written["variables"]()) == set()

    def test_secrets_and_nothing_else_may_come_as_files(self, written: dict[str, Any]) -> None:
        secret = {name for name, variable in written["variables"]().items() if variable.secret}
        assert {"SIMORGH_DATABASE_URL", "SIMORGH_SIGNING_KEY", "SIMORGH_VERIFICATION_KEYS"} <= secret
        assert not {"SIMORGH_API_PORT", "SIMORGH_S3_BUCKET"} & secret


class TestTheCode:
    def test_it_names_no_variable_that_the_page_does_not_explain(self, written: dict[str, Any]) -> None:
        known = set(written["variables"]()) | set(written["OTHERS"])
        known |= {f"{name}_FILE" for name, variable in written["variables"]().items() if variable.secret}
        known |= {"SIMORGH_NAME", "SIMORGH_NAME_FILE"}  # how the rule itself is written
        named = {
            (name, path)
            for folder in SOURCES
            for path in (ROOT / folder).rglob("*.py")
            for name in _VARIABLE.findall(path.read_text("utf-8"))
        }
        assert len(named) > 30
        assert [(name, str(path)) for name, path in sorted(named) if name not in known] == []
