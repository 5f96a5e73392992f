"""Nothing that our processes import speaks to anybody: the platform sends nothing by itself."""

import importlib.util
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
_OPENVINO = "import openvino, openvino_genai, openvino.tools.ovc, nncf"
_ONNX = """
import onnx, onnxruntime
from onnx import TensorProto, helper
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])
graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "secret", [value("x")], [value("y")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
"""
_OURS = {
    "an engine": f"import simorgh_inference.engine.openvino_pipeline, simorgh_inference.engine.onnx_model{_ONNX}",
    "an optimisation": f"import simorgh_trainer.optimize.run\n{_OPENVINO}{_ONNX}",
    "hearing": f"import simorgh_voice.engine.transcription.voice_activity{_ONNX}",
}


def imported(home: Path, code: str) -> str:
    """What a fresh process says that imports these; its home is empty, and CI settings are not inherited."""
    own = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    command = [sys.executable, "-W", "ignore", "-c", _WATCHED + code]
    done = subprocess.run(
        command, env=own | {"HOME": str(home)}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def identities(home: Path) -> list[Path]:
    """Where a machine was given an id, or reports wait to be sent."""
    return [home / name for name in ("intel", ".cache/Microsoft") if (home / name).exists()]


@pytest.mark.parametrize("what", _OURS)
def test_libraries_are_imported_in_silence(what: str, tmp_path: Path) -> None:
    """No address is asked for, nothing is sent, and no identity of this machine is made up."""
    assert "SPOKE" not in imported(tmp_path, _OURS[what])
    assert identities(tmp_path) == []


def test_what_silences_onnxruntime_is_what_it_reads() -> None:
    """A control that sends nothing: the variable might be called otherwise one day."""
    spec = importlib.util.find_spec("onnxruntime")
    assert spec is not None
    assert spec.origin is not None
    (library,) = (Path(spec.origin).parent / "capi").glob("onnxruntime_pybind11_state*.so")
    assert b"ORT_DISABLE_TELEMETRY" in library.read_bytes()


def test_openvinos_stubs_stand_in(tmp_path: Path) -> None:
    code = f"import simorgh_inference\n{_OPENVINO}\nprint(type(openvino.tools.ovc.telemetry).__module__)"
    assert imported(tmp_path, code).strip() == "openvino.tools.ovc.telemetry_stub"


@pytest.mark.parametrize("name", ["openvino_telemetry", "openvino_telemetry.backend"])
def test_what_is_forbidden_is_what_openvino_imports(name: str) -> None:
    """Another control."""
    code = f"import importlib.util; assert importlib.util.find_spec({name!r}) is not None"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
