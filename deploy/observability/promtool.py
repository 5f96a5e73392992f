"""Finds Prometheus' programs on this machine, and tries our rules: python -m deploy.observability.promtool"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
VARIABLE = "SIMORGH_PROMETHEUS"
"""The path of `prometheus`; promtool lies beside it."""
UNPACKED = FOLDER.parents[1] / ".venv" / "observe" / "usr" / "bin"
"""Where make puts Debian's package."""
ABSENT = os.EX_UNAVAILABLE
"""The exit code where there is no such program: nothing was tried."""


def find(program: str) -> Path | None:
    """`prometheus` or `promtool`: beside the one that the environment names, on the PATH, or where make unpacked it."""
    named = os.environ.get(VARIABLE)
    places = [str(Path(named).parent)] if named else [*os.get_exec_path(), str(UNPACKED)]
    found = shutil.which(program, path=os.pathsep.join(places))
    return None if found is None else Path(found)


def commands(promtool: Path) -> list[list[str]]:
    """All that it can say about our files."""
    rules = sorted(map(str, (FOLDER / "rules").glob("*.yaml")))
    tests = sorted(map(str, (FOLDER / "rule_tests").glob("*.yaml")))
    config = ["check", "config", "--syntax-only", str(FOLDER / "prometheus.yml")]
    return [[str(promtool), *what] for what in (["check", "rules", *rules], config, ["test", "rules", *tests])]


def main() -> int:
    """Try all; the exit code."""
    promtool = find("promtool")
    if promtool is None:
        print(f"There is no promtool: install Debian's package `prometheus`, or name its program in {VARIABLE}.")
        return ABSENT
    codes = [subprocess.run(command, check=False).returncode for command in commands(promtool)]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
