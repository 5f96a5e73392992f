"""A copy of the tree in which the recipes of docs/recipes.md have been followed, and our tools run in it."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_TREE = Path(__file__).parents[2]
_ADDED = Path(__file__).with_name("added")
# With mypy's memory, where it has one: what it knows of the libraries holds in the copy too.
_COPIED = ("shared", "services", "deploy", "tests", "contracts", "pyproject.toml", ".mypy_cache")
_SERVICES = ("api", "trainer-worker", "inference", "voice")
_SOURCES = ("shared/src", *(f"services/{name}/src" for name in _SERVICES), "deploy/embedded/src")
_VERSIONS = Path("shared/src/simorgh_shared/db/migrations/versions")
_SHARED = "shared/src/simorgh_shared"
_TRAINER = "services/trainer-worker/src/simorgh_trainer"
_SENTENCE = '    "feather_colour": "No simorgh has {colour} feathers. Name one of {known}.",\n'
# What the recipes add to modules that are there: the module, a place in it, what comes behind that place.
_LINES = (
    ("services/api/src/simorgh_api/app.py", '    "routes.models",\n', '    "routes.feathers",\n'),
    (f"{_SHARED}/domain/messages.py", "    # jobs\n", _SENTENCE),
    (f"{_SHARED}/domain/jobs.py", '    TRAIN = "train"\n', '    COUNT_BARBS = "count_barbs"\n    WEAVE = "weave"\n'),
    (f"{_SHARED}/db/models/__init__.py", "__all__ = [\n", '    "Feather",\n'),
    (f"{_SHARED}/db/models/__init__.py", "import Base\n", "from simorgh_shared.db.models.feathers import Feather\n"),
    (f"{_TRAINER}/jobs/kinds.py", "import Launcher\n", "from simorgh_trainer.jobs import barbs, weave\n"),
    (f"{_TRAINER}/jobs/kinds.py", "JobType.PROBE: probe", ", JobType.COUNT_BARBS: barbs"),
    (f"{_TRAINER}/jobs/kinds.py", "JobType.TRAIN: train", ", JobType.WEAVE: weave"),
    ("pyproject.toml", 'forbidden_modules = ["simorgh_trainer.training", ', '"simorgh_trainer.weaving", '),
    ("pyproject.toml", 'source_modules = ["simorgh_shared.child", ', '"simorgh_trainer.weaving", '),
)


@dataclass(frozen=True)
class CopiedTree:
    """A tree of one's own. Its sources stand before the installed ones for every process that it starts."""

    folder: Path

    def environment(self) -> dict[str, str]:
        """This process's, but for what would tell the copy's tests that they are these."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        sources = os.pathsep.join(str(self.folder / source) for source in _SOURCES)
        return own | {"PYTHONPATH": sources, "MYPYPATH": sources}

    def run(self, *arguments: str) -> str:
        """Run Python with these arguments; what it printed. It has to end with 0."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


def follow_recipes(folder: Path) -> CopiedTree:
    """Copy the tree into a folder, and follow every recipe there."""
    for name in _COPIED:
        source = _TREE / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "added"))
        elif source.exists():
            shutil.copy2(source, folder / name)
    shutil.copytree(_ADDED, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    _number_migration(folder / _VERSIONS)
    for module, place, lines in _LINES:
        _add_behind(folder / module, place, lines)
    tree = CopiedTree(folder)
    tree.run("-m", "ruff", "check", "--fix", "--exit-zero", "--quiet", ".")
    tree.run("-m", "ruff", "format", "--quiet", ".")
    return tree


def _number_migration(versions: Path) -> None:
    """The recipe's migration is the next one."""
    written = versions / "v9999_feathers.py"
    text = written.read_text(encoding="utf-8")
    written.unlink()
    before = max(found[1] for path in versions.iterdir() if (found := re.match(r"v(\d{4})_", path.name)))
    number = f"{int(before) + 1:04}"
    text = text.replace('"9999"', f'"{number}"').replace('"9998"', f'"{before}"')
    (versions / f"v{number}_feathers.py").write_text(text, encoding="utf-8")


def _add_behind(module: Path, place: str, lines: str) -> None:
    text = module.read_text(encoding="utf-8")
    assert text.count(place) == 1, f"{module.name} has no one place {place!r} any more: mend this test's line"
    module.write_text(text.replace(place, place + lines), encoding="utf-8")
