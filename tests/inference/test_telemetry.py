"""Nothing that an engine or a conversion imports speaks to anybody (the platform sends nothing by itself)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_WATCHED = """
import sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("SPOKE", event, arguments)
sys.addaudithook(watch)
"""
_MODULES = "import openvino, openvino_genai, openvino.tools.ovc, nncf"


def imported(home: Path, code: str) -> str:
    """What a fresh process says that imports these; its home is empty, and CI settings are not inherited."""
    own = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    command = [sys.executable, "-W", "ignore", "-c", _WATCHED + code]
    done = subprocess.run(
        command, env=own | {"HOME": str(home)}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestForbidTelemetry:
    def test_engines_import_openvino_in_silence(self, tmp_path: Path) -> None:
        """No address is asked for, nothing is sent, and no identity of this machine is made up."""
        said = imported(tmp_path, f"import simorgh_inference.engine.openvino_pipeline\n{_MODULES}")
        assert "SPOKE" not in said
        assert not (tmp_path / "intel").exists()

    def test_the_stubs_stand_in(self, tmp_path: Path) -> None:
        code = f"import simorgh_inference.engine\n{_MODULES}\nprint(type(openvino.tools.ovc.telemetry).__module__)"
        assert imported(tmp_path, code).strip() == "openvino.tools.ovc.telemetry_stub"


@pytest.mark.parametrize("name", ["openvino_telemetry", "openvino_telemetry.backend"])
def test_what_is_forbidden_is_what_they_import(name: str) -> None:
    """Were the package called otherwise by a later release, the test above would tell nothing."""
    code = f"import importlib.util; assert importlib.util.find_spec({name!r}) is not None"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
