"""Models come and go within a budget of memory."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from simorgh_inference import residency
from simorgh_inference.host import EngineHost
from simorgh_inference.registry import FolderSource
from simorgh_inference.settings import ServerSettings
from simorgh_shared.domain.errors import UnavailableError

_ENGINE = Path(__file__).parent / "scripted_engine.py"
_ROOM_TIMEOUT_S = 2.0
_SPARE_BYTES = 4 << 20  # less than any process holds


class Many(FolderSource):
    """A folder that is a model under every name."""

    def name(self, model: str) -> str:
        """The client's."""
        return model


def with_room_for(num_models: int, folder: Path, work: Callable[[EngineHost], Awaitable[None]], *words: str) -> None:
    """Run this on a host with room for so many scripted engines."""
    needed = residency.needed_bytes(folder)
    budget = needed + _SPARE_BYTES if num_models == 1 else num_models * needed
    settings = ServerSettings(
        models_memory_bytes=budget,
        load_timeout_s=30,
        room_timeout_s=_ROOM_TIMEOUT_S,
        stall_timeout_s=100,
        engine="transformers",
    )

    async def whole() -> None:
        host = EngineHost(Many(folder), settings, (sys.executable, str(_ENGINE), str(folder / "starts"), *words))
        try:
            await asyncio.wait_for(work(host), 90)
        finally:
            await host.close()

    asyncio.run(whole())


async def say(host: EngineHost, model: str) -> None:
    """One request."""
    async for _ in host.generate(model, {"messages": [], "cut_turns": False}):
        pass


class TestHost:
    def test_the_model_that_was_used_longest_ago_goes(self, tmp_path: Path) -> None:
        """R-CHAT-4."""

        async def work(host: EngineHost) -> None:
            for model in ("a", "b", "a"):
                await say(host, model)
            assert set(host.loaded()) == {"a", "b"}
            budget = residency.held_bytes([host.loaded()["a"]]) + _SPARE_BYTES
            assert residency.to_unload(host.loaded(), budget) == ["b"]
            assert residency.to_unload(host.loaded(), 0) == ["b", "a"]

        with_room_for(2, tmp_path, work, "works")

    def test_one_that_is_idle_makes_room(self, tmp_path: Path) -> None:
        """R-CHAT-4."""

        async def work(host: EngineHost) -> None:
            await say(host, "a")
            old = host.loaded()["a"]
            await say(host, "b")
            assert set(host.loaded()) == {"b"}
            assert old.process.poll() is not None
            await say(host, "a")
            assert set(host.loaded()) == {"a"}

        with_room_for(1, tmp_path, work, "works")

    def test_one_in_use_never_goes(self, tmp_path: Path) -> None:
        """R-CHAT-4: the other model's request waits for it, and is told to come again when that takes too long."""

        async def work(host: EngineHost) -> None:
            child = await host.child("a")
            async with asyncio.TaskGroup() as tasks:
                held = tasks.create_task(say(host, "a"))
                await asyncio.sleep(0)
                assert child.num_active == 1
                with pytest.raises(UnavailableError, match="leave no memory for b") as refused:
                    await say(host, "b")
                assert refused.value.retry_after_s
                assert set(host.loaded()) == {"a"}
                waiting = tasks.create_task(say(host, "b"))
                await asyncio.sleep(0)
                held.cancel()
                await waiting
            assert set(host.loaded()) == {"b"}

        with_room_for(1, tmp_path, work, "freezes", "works")

    def test_who_leaves_does_not_end_the_load_of_others(self, tmp_path: Path) -> None:
        """R-CHAT-4: the first request of a model may be of a client that does not wait for it."""

        async def work(host: EngineHost) -> None:
            first, second = (asyncio.create_task(say(host, "a")) for _ in range(2))
            await asyncio.sleep(0.01)
            first.cancel()
            await second
            assert len((tmp_path / "starts").read_text().splitlines()) == 1

        with_room_for(1, tmp_path, work, "works")


class TestReadyToFollow:
    def test_both_are_loaded_where_there_is_room(self, tmp_path: Path) -> None:
        """R-MODEL-2: before an alias moves; nobody loads what nobody asks."""

        async def work(host: EngineHost) -> None:
            assert not await host.ready_to_follow("b", "a")
            assert host.loaded() == {}
            await say(host, "a")
            assert await host.ready_to_follow("b", "a")
            assert set(host.loaded()) == {"a", "b"}

        with_room_for(3, tmp_path, work, "works")

    def test_the_one_that_is_asked_stays_where_there_is_not(self, tmp_path: Path) -> None:
        async def work(host: EngineHost) -> None:
            await say(host, "a")
            assert not await host.ready_to_follow("b", "a")
            assert set(host.loaded()) == {"a"}

        with_room_for(1, tmp_path, work, "works")
