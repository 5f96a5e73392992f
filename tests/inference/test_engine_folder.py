"""The folder of a server's sockets: left by a server that was killed, removed when the next one starts."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from simorgh_shared.engine_folder import EngineFolder

_KILLED = (
    "import os; from simorgh_shared.engine_folder import EngineFolder as F;"
    " print(F().path, flush=True); os.kill(os.getpid(), 9)"
)


class TestEngineFolder:
    def test_what_a_killed_server_left_goes_and_what_a_live_one_uses_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """R-OPS-4: nothing piles up in the system's folder."""
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        living = EngineFolder()
        killed = subprocess.run(
            [sys.executable, "-c", _KILLED],
            env={"TMPDIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        left = Path(killed.stdout.strip())
        assert left.parent == tmp_path
        assert left.is_dir()
        started = EngineFolder()
        assert not left.exists()
        assert {living.path, started.path} == set(tmp_path.iterdir())
        for folder in (living, started):
            folder.close()
        assert list(tmp_path.iterdir()) == []
