"""Takes from the lock what an image holds: `select_packages.py LOCK NAMES` writes those lines with their hashes.

Runs inside the build with the standard library alone.
"""

import re
import sys
from pathlib import Path

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==")


def select(lock: str, names: str) -> str:
    """The lock's entries of these names.

    Raises: ValueError for a name that the lock does not have.
    """
    wanted = {line.strip() for line in names.splitlines() if line.strip() and not line.startswith("#")}
    taken, found, is_wanted = [], set(), False
    for line in lock.splitlines(keepends=True):
        if match := _PINNED.match(line):
            name = re.sub(r"[-_.]+", "-", match[1]).lower()
            is_wanted = name in wanted
            found.add(name)
        if is_wanted:
            taken.append(line)
    if missing := sorted(wanted - found):
        raise ValueError(f"the lock has no {', '.join(missing)}")
    return "".join(taken)


if __name__ == "__main__":
    sys.stdout.write(select(*(Path(path).read_text("utf-8") for path in sys.argv[1:])))
