"""A model is converted once, beside its folder, while transformers serves it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from simorgh_inference.conversions import Conversions, Engine
from simorgh_inference.engine.conversion import REVISION
from simorgh_inference.host import EngineHost
from simorgh_inference.registry import FolderSource
from simorgh_inference.settings import EngineSettings, ServerSettings
from simorgh_shared.openvino_ir.convertible import obstacle
from simorgh_shared.spawning import Spawner
from tests.support.inference import QUESTION

_REQUEST: dict[str, Any] = {
    "messages": QUESTION, "max_tokens": 12, "temperature": 0.0, "top_p": 1.0, "seed": None, "stop": [],
    "cut_turns": False,
}  # fmt: skip
_LLAMA = {"architectures": ["LlamaForCausalLM"]}


class Kept(FolderSource):
    """A folder that never changes, as those of the registry."""

    def __init__(self, folder: Path, place: Path) -> None:
        super().__init__(folder)
        self._place = place

    def derived(self, model: str) -> Path | None:
        """Below the test's own folder."""
        return self._place / model


async def text(host: EngineHost, **fields: Any) -> str:
    """The text of one answer."""
    return "".join([piece["text"] async for piece in host.generate("noise", _REQUEST | fields)])


def with_host(source: FolderSource, work: Callable[[EngineHost], Awaitable[None]], **variables: Any) -> None:
    """Run this on a host."""

    async def whole() -> None:
        host = EngineHost(source, ServerSettings(**({"engine": "auto", "precision": "f32"} | variables)))
        try:
            await asyncio.wait_for(work(host), 120)
        finally:
            await host.close()

    asyncio.run(whole())


def choice(place: Path, folder: Path, kept: Path | None, **variables: Any) -> Engine:
    """The engine that is chosen, without starting it."""

    async def whole() -> Engine:
        conversions = Conversions(EngineSettings(**({"precision": "f32"} | variables)), Spawner(), place)
        try:
            return await conversions.engine("noise", folder, kept, lambda: None)
        finally:
            await conversions.close()

    return asyncio.run(whole())


class TestAuto:
    def test_transformers_serves_until_the_conversion_is_there(self, model_folder: Path, tmp_path: Path) -> None:
        """R-CHAT-4: no request waits for it, and one that runs meanwhile ends where it began; R-OPT-1: its lineage."""
        kept = tmp_path / "noise"

        async def work(host: EngineHost) -> None:
            answer = await text(host)
            child = host.loaded()["noise"]
            assert child.ready["engine"] == "transformers"
            assert "is being converted" in child.ready["engine_reason"]
            long = asyncio.create_task(text(host, max_tokens=1500))
            while host.loaded()["noise"] is child:  # noqa: ASYNC110 - what it waits for is another process
                await asyncio.sleep(0.05)
            assert host.loaded()["noise"].ready["engine"] == "openvino"
            assert await text(host) == answer
            assert len(await long) > 0
            await child.emptied()

        with_host(Kept(model_folder, tmp_path), work)
        (record,) = kept.glob("f32-*/conversion.json")
        assert set(json.loads(record.read_text())["made_of"]) == {"model.safetensors"}
        assert choice(tmp_path, model_folder, kept, engine="auto").name == "openvino"

        damaged = record.parent / "openvino_model.bin"
        damaged.write_bytes(damaged.read_bytes()[:-4] + bytes(4))
        assert "is being converted" in choice(tmp_path, model_folder, kept, engine="auto").reason
        assert not list(kept.glob(".part*")), "what was being made goes with its server"

    def test_what_could_not_be_converted_is_not_tried_again(self, model_folder: Path, tmp_path: Path) -> None:
        variant = f"f32-{version('openvino')}-{REVISION}"
        (tmp_path / "kept" / variant).mkdir(parents=True)
        (tmp_path / "kept" / variant / "conversion.json").write_text('{"unfit": "it says something else"}')
        for engine in ("auto", "openvino"):
            chosen = choice(tmp_path, model_folder, tmp_path / "kept", engine=engine)
            assert (chosen.name, chosen.reason) == ("transformers", "it says something else")

    def test_a_folder_that_may_change_is_not_converted(self, model_folder: Path, tmp_path: Path) -> None:
        assert "may change" in choice(tmp_path, model_folder, None, engine="auto").reason

    def test_an_adapter_is_served_by_transformers(self, tmp_path: Path) -> None:
        (tmp_path / "adapter_config.json").write_text("{}")
        assert "adapters" in choice(tmp_path, tmp_path, None, engine="openvino").reason


class TestKeptForms:
    @pytest.mark.parametrize(
        ("name", "engine", "is_only_one"),
        [
            ("openvino_model.xml", "openvino", True),
            ("model.onnx", "onnxruntime", False),
            ("a.gguf", "transformers", False),
        ],
    )
    def test_files_decide_whatever_is_set(self, tmp_path: Path, name: str, engine: str, is_only_one: bool) -> None:
        """R-OPT-3: each form has the one engine that reads it."""
        (tmp_path / name).write_bytes(b"")
        chosen = choice(tmp_path, tmp_path, tmp_path / "kept", engine="transformers")
        assert (chosen.name, chosen.is_only_one) == (engine, is_only_one)
        assert chosen.reason.startswith("it is kept as ")


class TestPrecision:
    @pytest.mark.parametrize("precision", ["bf16", "int8"])
    def test_it_is_told(self, model_folder: Path, precision: str) -> None:
        """R-CHAT-4: bf16 where the processor has units for it."""

        async def work(host: EngineHost) -> None:
            assert await text(host) == await text(host)
            ready = host.loaded()["noise"].ready
            assert ready["engine"] == "openvino"
            assert ready["precision"] in {precision, "f32" if precision == "bf16" else precision}

        with_host(FolderSource(model_folder), work, engine="openvino", precision=precision)


class TestObstacle:
    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({}, None),
            ({"architectures": ["MambaForCausalLM"]}, "does not know MambaForCausalLM"),
            ({"architectures": None}, "does not know None"),
            ({"sliding_window": 64}, "sliding-window"),
            ({"architectures": ["Qwen2ForCausalLM"], "sliding_window": 64, "use_sliding_window": False}, None),
            ({"rope_scaling": {"type": "dynamic", "factor": 2}}, "type dynamic"),
            ({"rope_parameters": {"rope_type": "llama3"}}, None),
            ({"quantization_config": {"bits": 4}}, "quantised already"),
        ],
    )
    def test_it_is_told_by_the_configuration(self, changes: dict[str, Any], says: str | None) -> None:
        found = obstacle(_LLAMA | changes)
        assert found is None if says is None else says in str(found)
