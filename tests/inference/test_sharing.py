"""Models that share an engine, as the front keeps them (R-CHAT-4)."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from simorgh_inference.host import EngineHost
from simorgh_inference.registry import FolderSource
from simorgh_inference.settings import ServerSettings
from tests.inference.test_adapters import alone, make_adapter
from tests.support.inference import QUESTION

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing")  # that is how peft asks
_ENGINE = (sys.executable, str(Path(__file__).parent / "scripted_engine.py"))
_REQUEST: dict[str, Any] = {
    "messages": QUESTION, "prompt": "سلام thirty birds", "max_tokens": 16, "temperature": 0.0, "top_p": 1.0,
    "seed": None, "stop": [], "cut_turns": False,
}  # fmt: skip


class Shelf(FolderSource):
    """Folders by name; adapters lie on the first one."""

    def __init__(self, folders: dict[str, Path]) -> None:
        super().__init__(next(iter(folders.values())))
        self._folders = folders

    def name(self, model: str) -> str:
        """The client's."""
        return model

    def folder(self, model: str) -> Path:
        """The one of this name."""
        return self._folders[model]

    def weights(self, model: str) -> str | None:
        """One base for all."""
        return "base"


@pytest.fixture(scope="module")
def folders(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A base, two adapters on it, and one that has to be merged."""
    place = tmp_path_factory.mktemp("shelf")
    made = {name: make_adapter(model_folder, place / name, seed) for seed, name in enumerate(("a", "b"))}
    return {"bird": model_folder, **made, "dora": make_adapter(model_folder, place / "dora", 5, use_dora=True)}


def on_host(folders: dict[str, Path], work: Callable[[EngineHost], Awaitable[None]], *command: str) -> None:
    """Run this on a host that serves by transformers."""

    async def whole() -> None:
        settings = ServerSettings(engine="transformers", load_timeout_s=60)
        host = EngineHost(Shelf(folders), settings, command) if command else EngineHost(Shelf(folders), settings)
        try:
            await asyncio.wait_for(work(host), 120)
        finally:
            await host.close()

    asyncio.run(whole())


async def text(host: EngineHost, model: str) -> str:
    """One answer."""
    return "".join([piece["text"] async for piece in host.generate(model, _REQUEST)])


def test_base_and_adapters_are_one_process(folders: dict[str, Path], model_folder: Path) -> None:
    """R-CHAT-4: loaded without a restart, and each says what it says alone."""

    async def work(host: EngineHost) -> None:
        await text(host, "bird")
        child = host.loaded()["bird"]
        names = ["a", "bird", "b", "a", "bird"]
        given = await asyncio.gather(*(text(host, name) for name in names))
        wanted = {name: alone(model_folder, None if name == "bird" else folders[name]) for name in ("bird", "a", "b")}
        assert [one.rstrip("\ufffd") for one in given] == [wanted[name] for name in names]
        assert set(host.loaded().values()) == {child}

    on_host(folders, work)


def test_one_that_is_more_than_plain_has_an_engine_of_its_own(folders: dict[str, Path], tmp_path: Path) -> None:
    async def work(host: EngineHost) -> None:
        for name in folders:
            await text(host, name)
        loaded = host.loaded()
        assert loaded["bird"] is loaded["a"] is loaded["b"] is not loaded["dora"]

    on_host(folders, work, *_ENGINE, str(tmp_path / "starts"), "works")


def test_an_engine_that_is_lost_is_started_once_for_all(folders: dict[str, Path], tmp_path: Path) -> None:
    """R-CHAT-3."""

    async def work(host: EngineHost) -> None:
        await asyncio.gather(text(host, "a"), text(host, "b"))
        child = host.loaded()["a"]
        os.kill(child.process.pid, signal.SIGKILL)
        child.process.wait(10)
        await asyncio.gather(text(host, "a"), text(host, "b"))
        assert len((tmp_path / "starts").read_text().splitlines()) == 2

    on_host(folders, work, *_ENGINE, str(tmp_path / "starts"), "works")
