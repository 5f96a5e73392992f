"""The front's side of its engines, with engine processes that follow a script."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from simorgh_inference.child import EngineLostError
from simorgh_inference.host import EngineHost
from simorgh_inference.registry import FolderSource
from simorgh_inference.settings import ServerSettings
from simorgh_shared.domain.errors import InvalidInputError

_ENGINE = Path(__file__).parent / "scripted_engine.py"
_REQUEST: dict[str, Any] = {"messages": [], "cut_turns": False}


class Flock:
    """A host whose engines follow the script, and their starts."""

    def __init__(self, folder: Path, words: tuple[str, ...]) -> None:
        self._starts = folder / "starts"
        settings = ServerSettings(max_waiting=8, load_timeout_s=20.0, stall_timeout_s=1.0, engine="transformers")
        self.host = EngineHost(
            FolderSource(folder), settings, (sys.executable, str(_ENGINE), str(self._starts), *words)
        )

    def pids(self) -> list[int]:
        """The processes that were started."""
        return [int(line) for line in self._starts.read_text().splitlines()]

    async def answer(self, model: str = "any") -> str:
        """The text of one request."""
        return "".join([piece["text"] async for piece in self.host.generate(model, _REQUEST)])


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Flock]:
    """Runs a test's body on a host whose engines follow these words."""

    def body(work: Callable[[Flock], Awaitable[None]], *words: str) -> Flock:
        async def whole() -> Flock:
            flock = Flock(tmp_path, words)
            try:
                await asyncio.wait_for(work(flock), 60)
            finally:
                await flock.host.close()
            return flock

        return asyncio.run(whole())

    return body


class TestGenerate:
    def test_a_request_that_was_not_taken_goes_to_a_new_engine(self, run: Callable[..., Flock]) -> None:
        """R-CHAT-3."""

        async def work(flock: Flock) -> None:
            assert await flock.answer() == "bird"

        assert len(run(work, "dies", "works").pids()) == 2

    def test_a_request_that_ends_engines_ends_no_more_than_two(self, run: Callable[..., Flock]) -> None:
        async def work(flock: Flock) -> None:
            with pytest.raises(EngineLostError) as lost:
                await flock.answer()
            assert not lost.value.was_taken

        assert len(run(work, "dies").pids()) == 2

    @pytest.mark.parametrize("word", ["takes", "stammers"])
    def test_a_request_that_was_taken_is_lost_with_its_engine(self, run: Callable[..., Flock], word: str) -> None:
        """R-CHAT-3: and lost at once, even where the engine ended in the middle of a line."""

        async def work(flock: Flock) -> None:
            with pytest.raises(EngineLostError) as lost:
                await flock.answer()
            assert lost.value.was_taken
            assert await flock.answer() == "bird"

        assert len(run(work, word, "works").pids()) == 2

    def test_an_engine_that_stands_still_is_ended(self, run: Callable[..., Flock]) -> None:
        """R-CHAT-3: its request is lost, and the next one gets another engine."""

        async def work(flock: Flock) -> None:
            with pytest.raises(EngineLostError) as lost:
                await flock.answer()
            assert lost.value.was_taken
            assert await flock.answer() == "bird"

        assert len(run(work, "freezes", "works").pids()) == 2

    def test_an_exception_is_told_by_its_kind(self, run: Callable[..., Flock]) -> None:
        """R-OPS-6: never silent, and never with what was said."""

        async def work(flock: Flock) -> None:
            with capture_logs() as lines:
                with pytest.raises(EngineLostError):
                    await flock.answer()
                assert await flock.answer() == "bird"
            (lost,) = [line for line in lines if line["event"] == "engine_lost"]
            assert lost["reason"] == "ValueError"
            assert "secret" not in str(lines)

        run(work, "raises", "works")

    def test_an_answer_that_the_engine_cannot_end_is_no_answer(self, run: Callable[..., Flock]) -> None:
        """R-CHAT-3: the engine goes on."""

        async def work(flock: Flock) -> None:
            with pytest.raises(EngineLostError):
                await flock.answer()
            assert len(flock.host.loaded()) == 1

        assert len(run(work, "loses").pids()) == 1

    def test_requests_that_were_not_taken_share_the_new_engine(self, run: Callable[..., Flock]) -> None:
        async def work(flock: Flock) -> None:
            assert await asyncio.gather(*(flock.answer() for _ in range(5))) == ["bird"] * 5

        assert len(run(work, "dies", "works").pids()) == 2


class TestChild:
    def test_an_engine_that_has_ended_is_not_handed_out(self, run: Callable[..., Flock]) -> None:
        """Its socket is not heard of before the event loop turns; its process is asked."""

        async def work(flock: Flock) -> None:
            first = await flock.host.child("any")
            os.kill(first.process.pid, signal.SIGKILL)
            first.process.wait(10)  # holds the event loop, so that it hears nothing
            assert flock.host.loaded() == {}
            assert await flock.host.child("any") is not first

        assert len(run(work, "works").pids()) == 2

    def test_a_model_that_cannot_be_served_is_remembered(self, run: Callable[..., Flock]) -> None:
        """R-MODEL-1: the engine's own reason, from one start."""

        async def work(flock: Flock) -> None:
            for _ in range(2):
                with pytest.raises(InvalidInputError, match="it is made of straw"):
                    await flock.answer()

        assert len(run(work, "unfit").pids()) == 1

    def test_all_names_of_one_folder_are_one_engine(self, run: Callable[..., Flock]) -> None:
        async def work(flock: Flock) -> None:
            assert [await flock.answer(model) for model in ("this", "that")] == ["bird", "bird"]
            assert len(flock.host.loaded()) == 1

        assert len(run(work, "works").pids()) == 1
