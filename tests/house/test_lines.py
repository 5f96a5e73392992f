"""The notes of which lines ran (docs/adr/0005) say what coverage.py says, and outlive the process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import coverage
import pytest

from tests.house import lines_report

SOURCE = '''"""A module."""
from __future__ import annotations

import functools


@functools.cache
def sort(
    value: int,
) -> str:
    """Its sort."""
    if value < 0:
        return "below"
    elif value == 0:
        return "zero"
    else:
        for _ in range(2):
            value += 1
        else:
            value -= 1
    try:
        with open("/nowhere/at/all") as file:
            return file.read()
    except FileNotFoundError:
        value = value
    except OSError:
        return "never"
    finally:
        value += 0
    match value:
        case 1:
            return "one"
        case _:
            return "many"


class Bird:
    """Has a docstring under its field."""

    feathers = 30
    """So many."""

    @property
    def name(self) -> str:
        return "never asked"


SORTS = [
    sort(number)
    for number in (-1, 5)
]
'''


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree with the notes' code in it, and one module of ours."""
    shutil.copytree(Path(__file__).with_name("lines"), tmp_path / "tests" / "house" / "lines")
    path = tmp_path / "shared" / "src" / "bird.py"
    path.parent.mkdir(parents=True)
    path.write_text(SOURCE)
    return path


def run(source: Path, code: str) -> int:
    """Run Python in the tree; its exit code."""
    folder = source.parents[2]
    path = os.pathsep.join(map(str, (folder / "tests" / "house" / "lines", source.parent)))
    return subprocess.run([sys.executable, "-c", code], env={"PATH": os.environ["PATH"], "PYTHONPATH": path}).returncode


def noted(source: Path) -> set[int]:
    """The lines that ran."""
    notes = source.parents[2] / ".coverage-lines" / "shared|src|bird.py"
    return {line for line, ran in enumerate(notes.read_bytes()) if ran}


class TestNotes:
    def test_they_say_what_coverage_says(self, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Issue 4, 8: of the same run, line by line, but for `except` and `case` lines that did not match."""
        assert run(source, "import bird") == 0
        data_file = source.with_name("traced")
        trace = [sys.executable, "-m", "coverage", "run", f"--data-file={data_file}", "--source=.", source.name]
        subprocess.run(trace, cwd=source.parent, check=True)
        traced = coverage.Coverage(data_file=str(data_file))
        traced.load()
        _, statements, _, missing, _ = traced.analysis2(str(source))
        unmatched = {SOURCE[: SOURCE.index("        case 1:")].count("\n") + 1}
        assert noted(source) & set(statements) == set(statements) - set(missing) - unmatched
        assert len(missing) == 6

    def test_they_outlive_a_process_that_is_killed_and_add_up(self, source: Path) -> None:
        """Issue 4, 8: worker and child processes count, however they end."""
        assert run(source, "import os, bird; os.kill(os.getpid(), 9)") == -9
        first = noted(source)
        assert run(source, "import bird; bird.sort(0); bird.Bird().name") == 0
        assert noted(source) > first

    def test_below_the_goal_the_report_fails_with_the_least_covered_named(
        self, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Issue 4, 8."""
        folder = source.parents[2]
        settings = '[tool.coverage.run]\nsource = ["shared/src"]\n[tool.coverage.report]\nfail_under = {}\n'
        monkeypatch.chdir(folder)
        monkeypatch.setattr(lines_report, "_ROOT", folder)
        monkeypatch.setattr(lines_report, "_NOTES", folder / ".coverage-lines")
        assert run(source, "import bird") == 0
        source.with_name("unused.py").write_text("import os\n" * 40)
        (folder / "pyproject.toml").write_text(settings.format(85))
        assert lines_report.main() == 2
        assert capsys.readouterr().out.splitlines()[3].startswith("shared/src/unused.py")
        (folder / "pyproject.toml").write_text(settings.format(20))
        assert lines_report.main() == 0
