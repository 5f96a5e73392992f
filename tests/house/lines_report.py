"""Says how many of our lines ran in the tests: `python -m tests.house.lines_report`; exit code 2 below the goal.

What a statement is, and the report, are coverage.py's; which lines ran was noted by lines/sitecustomize.py.
"""

import io
import sys
from pathlib import Path

import coverage

_ROOT = Path(__file__).resolve().parents[2]
_NOTES = _ROOT / ".coverage-lines"
_FAILED = 2
_NUM_SHOWN = 12


def main() -> int:
    """Write `.coverage`, for coverage.py's other reports, and say what ran."""
    counted = coverage.Coverage(data_file=str(_ROOT / ".coverage"), config_file=str(_ROOT / "pyproject.toml"))
    counted.erase()
    data = counted.get_data()
    data.add_lines(dict(_ran(notes) for notes in _NOTES.iterdir() if notes.is_file()))
    folders = counted.get_option("run:source")
    assert isinstance(folders, list)
    data.touch_files([str(path) for folder in folders for path in sorted((_ROOT / folder).rglob("*.py"))])
    data.write()
    report = io.StringIO()
    percent = counted.report(file=report, sort="cover")
    print("The least covered modules (all of them: .venv/bin/coverage report):")
    print("\n".join(report.getvalue().splitlines()[: _NUM_SHOWN + 2]))
    goal = counted.get_option("report:fail_under")
    assert isinstance(goal, int | float)
    print(f"{percent:.1f} % of our lines ran in the tests, in all processes; {goal:g} % must.")
    return 0 if percent >= goal else _FAILED


def _ran(notes: Path) -> tuple[str, list[int]]:
    path = _ROOT / notes.name.replace("|", "/")
    return str(path), [line for line, ran in enumerate(notes.read_bytes()) if ran]


if __name__ == "__main__":
    sys.exit(main())
