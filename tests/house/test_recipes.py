"""docs/recipes.md: each recipe is followed in a copy of the tree, and what it made is run there.

`added/` holds the files that the recipes say to write: an endpoint that keeps feathers, jobs of both kinds, a
migration, a metric, and their tests. The copy's own tests start the copy's gateway, dispatcher and worker.
"""

import re
from pathlib import Path

import pytest

from tests.house.copied_tree import CopiedTree, follow_recipes

_LINT_IMPORTS = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
_TESTS = (
    "tests/api/feathers",  # the endpoint, its metric, and the job that runs in the worker's own process
    "tests/trainer_worker/test_weaving.py",  # the job with a child
    "tests/shared/test_migrations.py",  # down to nothing and up again; the classes mirror what they make
    "tests/shared/test_messages.py",
    "tests/contract",
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> CopiedTree:
    """The copy, its contract written anew."""
    made = follow_recipes(tmp_path_factory.mktemp("recipes"))
    made.run("-m", "simorgh_api.contract", "contracts/openapi.json")
    return made


class TestRecipes:
    """Whoever follows them gets what works."""

    def test_each_is_followed(self) -> None:
        """Issue 4, 8: whoever writes another one adds what it makes to `added`, and its name here."""
        text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["An endpoint", "A job type", "A migration", "A metric"]

    def test_what_they_made_keeps_the_house_rules(self, tree: CopiedTree) -> None:
        """Issue 4, 8: `make check` has nothing to say."""
        tree.run("-m", "ruff", "check", ".")
        tree.run("-m", "ruff", "format", "--check", ".")
        tree.run("-c", _LINT_IMPORTS)
        tree.run("-m", "mypy")

    def test_what_they_made_works(self, tree: CopiedTree, tmp_path: Path) -> None:
        """Issue 4, 8: the endpoint answers, both jobs run, the migration goes up and down, the metric is told."""
        options = ("-q", "-n", "0", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'copy'}")
        told = tree.run("-m", "pytest", *options, *_TESTS)
        assert re.search(r"^\d+ passed in", told, re.MULTILINE), told
