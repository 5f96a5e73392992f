"""Model folders by their content: each format whole, damaged and dangerous (R-MODEL-1)."""

import io
import json
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from simorgh_shared.domain.messages import sentence
from simorgh_shared.model_folders.check import ModelReport, check_folder
from tests.support import model_files
from tests.support.model_files import CONFIG, base_folder, safetensors, with_header

LIMIT_BYTES = 1 << 30
GGUF = model_files.gguf()
ONNX = model_files.onnx()
CT2 = model_files.ctranslate2()
WHISPER = model_files.ctranslate2("WhisperSpec")
NPY = b"\x93NUMPY\x01\x00v\x00{'descr': '%s', 'fortran_order': False, 'shape': (1,), }"
DEEP = "a/b/c/d/e/f/g"
WORDS = b'["a", "b"]'


def checked(root: Path, files: Mapping[str, bytes], limit_bytes: int = LIMIT_BYTES) -> ModelReport:
    """The report on files that were sent."""
    model_files.write(root / "sent", files)
    return check_folder(root, limit_bytes)


def refusal(root: Path, files: Mapping[str, bytes], limit_bytes: int = LIMIT_BYTES) -> str:
    """The sentence that refuses them."""
    report = checked(root, files, limit_bytes)
    assert report.problem is not None, f"it was taken as {report.format}"
    return sentence(report.problem, report.problem_params)


def config(**more: Any) -> bytes:
    return json.dumps(CONFIG | more).encode()


def tensor(name: str = "a", dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {name: {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}}


class TestFormats:
    @pytest.mark.parametrize(
        ("files", "format", "kind", "num_parameters"),
        [
            (base_folder(), "safetensors", "base", 32),
            (base_folder(config__json=config(quantization_config={"bits": 4})), "safetensors", "quantised", 32),
            (
                base_folder(config__json=config(model_type="whisper"), tokenizer__json=None),
                "safetensors",
                "speech",
                32,
            ),
            ({"any-name.bin": GGUF}, "gguf", "base", 64),
            ({"m.gguf": model_files.gguf(kind=8, bytes_of=68)}, "gguf", "quantised", 64),
            ({"m-1.gguf": model_files.gguf(2), "m-2.gguf": model_files.gguf(2)}, "gguf", "base", 128),
            ({"model.onnx": ONNX, "config.json": config()}, "onnx", "exported", 16),
            ({"model.onnx": model_files.onnx(location="w"), "w": bytes(64)}, "onnx", "exported", 16),
            ({"in/m.onnx": model_files.onnx(location="w"), "in/w": bytes(64), "a.md": b"x"}, "onnx", "exported", 16),
            ({"m.onnx": model_files.onnx("FusedMatMul", "com.microsoft")}, "onnx", "exported", 16),
            ({"m.xml": model_files.openvino(), "m.bin": bytes(64)}, "openvino", "exported", 16),
            ({"model.bin": CT2, "vocabulary.json": WORDS}, "ctranslate2", "exported", 32),
            (
                {"model.bin": model_files.ctranslate2("WhisperSpec"), "tokenizer.json": WORDS},
                "ctranslate2",
                "speech",
                32,
            ),
        ],
    )
    def test_told_by_content(
        self, tmp_path: Path, files: Mapping[str, bytes], format: str, kind: str, num_parameters: int
    ) -> None:
        """R-MODEL-1: whatever the files are called."""
        report = checked(tmp_path, files)
        found = (report.problem_params, report.format, report.kind, report.num_parameters)
        assert found == ({}, format, kind, num_parameters)

    def test_an_adapter_stands_alone_or_with_its_base(self, tmp_path: Path) -> None:
        """R-MODEL-1: as training makes it, and as other tools do."""
        adapter = {"adapter_config.json": b'{"peft_type": "LORA"}', "adapter_model.safetensors": safetensors()}
        alone = checked(tmp_path / "alone", adapter)
        assert (alone.problem_params, alone.kind, alone.is_told) == ({}, "adapter", True)
        base = {f"base/{name}": body for name, body in base_folder().items()}
        assert checked(tmp_path / "whole", adapter | base).kind == "adapter"
        del base["base/config.json"]
        assert "config.json is missing" in refusal(tmp_path / "half", adapter | base)

    def test_shards_are_all_there(self, tmp_path: Path) -> None:
        """R-MODEL-1: each tensor where the index says."""
        index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
        files = base_folder(model__safetensors=None) | {
            "model.safetensors.index.json": json.dumps(index).encode(),
            "model-00001-of-00002.safetensors": safetensors({"a": [2]}),
            "model-00002-of-00002.safetensors": safetensors({"b": [3]}),
        }
        assert checked(tmp_path / "whole", files).num_parameters == 5
        moved = files | {"model-00002-of-00002.safetensors": safetensors({"c": [3]})}
        assert "does not hold the tensor b" in refusal(tmp_path / "moved", moved)
        del files["model-00002-of-00002.safetensors"]
        assert "the shard model-00002-of-00002.safetensors is missing" in refusal(tmp_path / "half", files)


class TestIncomplete:
    @pytest.mark.parametrize(
        ("files", "says"),
        [
            (base_folder(config__json=b"{}"), "config.json names no model_type"),
            (base_folder(config__json=b'{"model_type": "llama"}'), "config.json names no architectures"),
            (base_folder(config__json=b"[]"), "config.json is no JSON object"),
            (base_folder(config__json=b"{"), "config.json is no usable JSON file"),
            (base_folder(tokenizer__json=None), "its tokenizer is missing"),
            (base_folder() | {"more.safetensors": safetensors()}, "beside model.safetensors it holds more.safetensors"),
            (base_folder(model__safetensors=None) | {"w.safetensors": safetensors()}, "call them model.safetensors"),
            (base_folder() | {"m.gguf": GGUF}, "in several formats: safetensors (model.safetensors), gguf (m.gguf)"),
            ({"a.gguf": GGUF, "b.gguf": GGUF}, "it holds 2 GGUF models. Send each by itself"),
            ({"a.gguf": model_files.gguf(3)}, "lies in 3 files, and 1 were sent"),
            ({"m.onnx": model_files.onnx(location="w")}, "its data lie in w, which was not sent"),
            ({"m.onnx": model_files.onnx(location="w", length=65), "w": bytes(64)}, "that file is cut off"),
            ({"m.xml": model_files.openvino()}, "its constants lie in a .bin of the same name"),
            ({"m.xml": model_files.openvino(1), "m.bin": bytes(64)}, "lies outside its .bin"),
            ({"model.bin": CT2}, "its vocabulary (vocabulary.json) is missing"),
        ],
    )
    def test_what_is_missing_is_named(self, tmp_path: Path, files: Mapping[str, bytes], says: str) -> None:
        """R-MODEL-1: a folder is whole by itself."""
        assert says in refusal(tmp_path, files)


class TestDamaged:
    @pytest.mark.parametrize(
        ("header", "num_bytes", "says"),
        [
            (tensor() | tensor("b", offsets=(4, 12)), 12, "tensor b overlaps another"),
            (tensor() | tensor("b", offsets=(12, 20)), 20, "4 bytes before tensor b belong to no tensor"),
            (tensor(), 7, "the file is cut off"),
            (tensor(), 9, "1 bytes at its end belong to no tensor"),
            (tensor(dtype="PY"), 8, "has the unknown type PY"),
            (tensor(shape=(3,)), 8, "has 8 bytes, its shape and type need 12"),
            (tensor(shape=(-1,)), 8, "no whole numbers"),
            (tensor(offsets=(0, 2**70)), 8, "no whole numbers"),
            ({}, 0, "it holds no tensors"),
            ({"__metadata__": {"format": 1}} | tensor(), 8, "its metadata are no texts"),
            (b'{"a": 1, "a": 2}', 0, "a name stands in it twice"),
            (b"{" + b"[" * 5_000, 0, "its header is no JSON"),
        ],
    )
    def test_safetensors(self, tmp_path: Path, header: object, num_bytes: int, says: str) -> None:
        """R-MODEL-1: tensors tile the file, and every claim is checked."""
        body = with_header(header, bytes(num_bytes))
        assert says in refusal(tmp_path, base_folder(model__safetensors=body))

    @pytest.mark.parametrize(
        "files",
        [
            base_folder(),
            {"m.gguf": GGUF},
            {"model.bin": CT2, "vocabulary.json": WORDS},
            {"m.xml": model_files.openvino(), "m.bin": bytes(64)},
            {"model.onnx": ONNX},
        ],
    )
    def test_a_file_that_is_cut_anywhere_is_refused_with_its_name(
        self, tmp_path: Path, files: dict[str, bytes]
    ) -> None:
        """R-MODEL-1: and no reader goes astray."""
        name = next(name for name in files if name not in ("config.json", "tokenizer.json", "README.md"))
        body = files[name]
        for at in {1, 3, 5, 9, 20, len(body) // 3, len(body) // 2, len(body) - 70, len(body) - 1}:
            if 0 < at < len(body):
                said = refusal(tmp_path / str(at), files | {name: body[:at]})
                assert Path(name).stem in said or "holds no weights" in said, (at, said)

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "it has version 1"),
            (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "more than there can be"),
            (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**62), "more than 65535"),
            (model_files.gguf(kind=99), "the unknown type 99"),
            (model_files.gguf(kind=2, shape=(31,)), "whole blocks"),
            (model_files.gguf(bytes_of=255), "lies outside the file"),
        ],
    )
    def test_gguf(self, tmp_path: Path, body: bytes, says: str) -> None:
        """R-MODEL-1: lengths are bounded before they are believed."""
        assert says in refusal(tmp_path, {"m.gguf": body})


class TestDangerous:
    @pytest.mark.parametrize(
        ("name", "body", "says"),
        [
            ("pytorch_model.bin", pickle.dumps({"w": list(range(9))}, protocol=2), "is a pickle"),
            ("a.dat", pickle.dumps(io.BytesIO, protocol=5), "is a pickle"),
            ("a.dat", pickle.dumps(io.BytesIO, protocol=0), "is a pickle in text"),
            ("model.pt", model_files.zipped({"model/data.pkl": b"\x80\x02."}), "a PyTorch checkpoint with a pickle"),
            ("a.joblib", b"\x78\x9c123", "is a .joblib file"),
            (
                "a.npy",
                b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
                "of Python ob",
            ),
            ("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5 (Keras), which can hold code"),
            ("model.keras", model_files.zipped({"config.json": b"{}"}), "a zip archive within the folder"),
            ("model.tflite", b"\x1c\0\0\0TFL3" + bytes(9), "a TensorFlow Lite model"),
            ("modeling_x.py", b"import os", "is program code"),
            ("run", b"#!/bin/sh\nrm -rf /", "is program code"),
            ("lib.so.1", b"\x7fELF" + bytes(60), "is program code"),
            ("weights.bin", bytes(range(250)) * 3, "of no kind that is known here"),
        ],
    )
    def test_what_is_no_data_is_refused_by_name(self, tmp_path: Path, name: str, body: bytes, says: str) -> None:
        """R-MODEL-1: beside good weights too, with what to do about it."""
        said = refusal(tmp_path, base_folder() | {name: body})
        assert said.startswith(name)
        assert says in said

    @pytest.mark.parametrize(
        ("name", "body"),
        [
            ("config.json", config(auto_map={"AutoModel": "m.M"})),
            ("tokenizer_config.json", b'{"auto_map": {"AutoTokenizer": ["t.T", null]}}'),
            ("processor_config.json", b'{"image": {"auto_map": {}}}'),
        ],
    )
    def test_remote_code_is_refused(self, tmp_path: Path, name: str, body: bytes) -> None:
        """R-MODEL-1: wherever a configuration names it."""
        assert "names code of its own (auto_map)" in refusal(tmp_path, base_folder() | {name: body})

    @pytest.mark.parametrize("place", ["/etc/passwd", "../other/vocab.txt", "~/.ssh/id"])
    def test_a_tokenizer_reads_no_file_of_the_server(self, tmp_path: Path, place: str) -> None:
        """R-MODEL-1: loaders open what these lines name."""
        body = json.dumps({"vocab_file": place}).encode()
        assert "vocab_file leads out of the folder" in refusal(
            tmp_path, base_folder() | {"tokenizer_config.json": body}
        )

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            (model_files.onnx("Evil", "my.ops"), "uses my.ops::Evil"),
            (model_files.onnx("Evil", "my.ops", subgraph=True), "uses my.ops::Evil"),
            (model_files.onnx("EPContext", "com.microsoft"), "uses com.microsoft::EPContext"),
            (model_files.onnx(location="../../etc/passwd"), "it leads out of the folder"),
            (model_files.onnx(location="/etc/passwd"), "it leads out of the folder"),
        ],
    )
    def test_onnx_needs_nothing_from_outside(self, tmp_path: Path, body: bytes, says: str) -> None:
        """R-MODEL-1: no custom operators, no outside paths, in subgraphs neither."""
        assert says in refusal(tmp_path, {"m.onnx": body})

    def test_xml_has_no_entities(self, tmp_path: Path) -> None:
        """R-MODEL-1: neither files nor a billion laughs."""
        doctype = '<!DOCTYPE net [<!ENTITY a "aaaa">]>'
        files = {"m.xml": model_files.openvino(doctype=doctype), "m.bin": bytes(64)}
        assert "it declares a document type" in refusal(tmp_path, files)


class TestHarmless:
    @pytest.mark.parametrize(
        ("name", "body"),
        [
            ("LICENSE", b"copyright\nsomebody\n"),
            ("README.md", b"hello"),
            ("chat_template.jinja", b"{% for m in messages %}{% endfor %}"),
            ("merges.txt", "ا ب\n".encode()),
            (
                "tokenizer.model",
                b"".join(
                    [
                        model_files.field(1, model_files.field(1, "سلام")),
                        model_files.field(2, b""),
                        model_files.field(3, b""),
                    ]
                ),
            ),
            ("assets/x.png", b"\x89PNG\r\n\x1a\n" + bytes(20)),
            (
                "voice.npy",
                b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }" + bytes(4),
            ),
        ],
    )
    def test_what_belongs_beside_weights_is_kept(self, tmp_path: Path, name: str, body: bytes) -> None:
        """R-MODEL-1: texts, tokenizers, pictures, plain arrays."""
        report = checked(tmp_path, base_folder() | {name: body})
        assert name in {file.path for file in report.files}, report.problem_params


class TestArchives:
    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
    def test_links_and_devices_are_refused(self, tmp_path: Path, kind: bytes) -> None:
        """R-MODEL-1: an archive writes files in its folder, and nothing else anywhere."""
        member = tarfile.TarInfo("model.safetensors")
        member.type, member.linkname = kind, "/etc/passwd"
        assert "a link or a device" in refusal(tmp_path, {"m.tar": model_files.tar({}, more=[member])})

    def test_links_in_zip_are_refused(self, tmp_path: Path) -> None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            member = zipfile.ZipInfo("config.json")
            member.external_attr = 0o120777 << 16
            archive.writestr(member, "/etc/passwd")
        assert "a link or a device" in refusal(tmp_path, {"m.zip": out.getvalue()})

    @pytest.mark.parametrize(
        "path", ["../evil", "/evil", "a/../../evil", "a\\evil", "a//b", "x" * 300, "a/b/c/d/e/f/g"]
    )
    @pytest.mark.parametrize("pack", [model_files.tar, model_files.zipped])
    def test_paths_stay_in_the_folder(self, tmp_path: Path, path: str, pack: Any) -> None:
        """R-MODEL-1: names are data."""
        said = refusal(tmp_path, {"m": pack(base_folder() | {path: b"x"})})
        assert "cannot be a file of a model" in said
        assert not (tmp_path / "evil").exists()
        assert not (tmp_path.parent / "evil").exists()

    @pytest.mark.parametrize("pack", [model_files.tar, model_files.zipped])
    def test_a_bomb_is_bounded(self, tmp_path: Path, pack: Any) -> None:
        """R-MODEL-1: by its own size and by the limit."""
        bomb = pack({"zeros.txt": bytes(80 << 20)})
        assert "grows to more than 100 times its size" in refusal(tmp_path / "bomb", {"m": bomb})
        assert "the limit of 1000000 bytes" in refusal(tmp_path / "large", {"m": bomb}, 1_000_000)

    @pytest.mark.parametrize("pack", [model_files.tar, model_files.zipped])
    def test_an_archive_that_is_cut_anywhere_is_told(self, tmp_path: Path, pack: Any) -> None:
        """R-MODEL-1: between two files too."""
        body = pack(base_folder())
        for at in (len(body) // 3, len(body) // 2, len(body) - 9, len(body) - 1):
            assert "The archive cannot be unpacked" in refusal(tmp_path / str(at), {"m": body[:at]})
        half = model_files.tar({"config.json": b"{}"}, "w")[:1024]
        assert "it is cut off" in refusal(tmp_path / "half", {"m": half})

    def test_two_files_of_one_name_are_refused(self, tmp_path: Path) -> None:
        """R-MODEL-1: also where a system tells no capitals apart."""
        body = model_files.tar(base_folder() | {"CONFIG.json": b"{}"})
        assert "it is there twice" in refusal(tmp_path, {"m": body})


class TestChild:
    def test_it_says_what_it_found_and_needs_no_torch(self, tmp_path: Path) -> None:
        """R-MODEL-1: the gateway's child, as it is started."""
        model_files.write(tmp_path / "sent", base_folder())
        arguments = ["--folder", str(tmp_path), "--limit-bytes", "1000000"]
        code = (
            "import sys; from simorgh_shared.model_folders import check; check.main();"
            "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'safetensors', 'pydantic')))"
        )
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["format"] == "safetensors"
