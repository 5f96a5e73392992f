"""What the processors of this machine draw, where the kernel lets us read it (Intel's and AMD's RAPL by powercap)."""

from collections.abc import Mapping
from pathlib import Path


class Packages:
    """The counters of all packages. They begin again at zero now and then."""

    def __init__(self, root: Path = Path("/sys/class/powercap")) -> None:
        found = [path for path in sorted(root.glob("intel-rapl:*")) if path.name.count(":") == 1]  # without their parts
        self._ranges = {path: most for path in found if (most := _read(path / "max_energy_range_uj")) is not None}
        self._last = self._counters()

    @property
    def can_be_read(self) -> bool:
        """Whether there are any that we may read."""
        return bool(self._last)

    def joules_since_last(self) -> float:
        """What all of them took since the last call, or since this was made."""
        now = self._counters()
        total_uj = 0
        for path, counter in now.items():
            if path in self._last:
                grown = counter - self._last[path]
                total_uj += grown if grown >= 0 else grown + self._ranges[path]
        self._last = now
        return total_uj / 1e6

    def _counters(self) -> Mapping[Path, int]:
        read = ((path, _read(path / "energy_uj")) for path in self._ranges)
        return {path: value for path, value in read if value is not None}


def _read(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
