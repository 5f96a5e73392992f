"""A graph that no chat can use is refused in words; one that can is served by test_optimizations (R-OPT-3)."""

from pathlib import Path

import onnx
import pytest

from simorgh_inference.engine.onnx_model import OnnxModel


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    """A model's folder without its weights."""
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((model_folder / name).read_bytes())
    return tmp_path


class TestOnnxModel:
    def test_graph_of_something_else(self, folder: Path) -> None:
        given, made = (
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, "n"]) for name in ("pixels", "classes")
        )
        graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["pixels"], ["classes"])], "g", [given], [made])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
        onnx.save(model, folder / "model.onnx")
        with pytest.raises(ValueError, match="its graph takes pixels; chats need ids, a mask and a cache"):
            OnnxModel(folder)

    def test_file_that_cannot_be_loaded(self, folder: Path) -> None:
        (folder / "model.onnx").write_bytes(b"no graph")
        with pytest.raises(ValueError, match="onnxruntime cannot load it"):
            OnnxModel(folder)

    def test_graph_by_itself(self, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(b"")
        with pytest.raises(ValueError, match=r"without the config\.json"):
            OnnxModel(tmp_path)
