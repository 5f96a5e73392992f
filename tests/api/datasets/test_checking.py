"""The checking child as the gateway holds it (architecture 6)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psutil
import pytest

from simorgh_api.uploads.checking import Checkers, Checking
from simorgh_shared.domain.errors import InvalidInputError, UnavailableError
from tests.api.datasets.uploading import ROW

JSONL = ["--format", "jsonl"]


@contextlib.asynccontextmanager
async def checking(arguments: Sequence[str]) -> AsyncIterator[Checking]:
    async with contextlib.aclosing(Checkers()) as checkers, checkers.checking(arguments) as child:
        yield child


def children() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "simorgh_shared.datasets.check" in each.cmdline()]


async def waiting() -> psutil.Process:
    """The child that waits for a file, as soon as there is one."""
    async with asyncio.timeout(20):
        while not children():  # noqa: ASYNC110  # another process tells no event
            await asyncio.sleep(0.01)
    [child] = children()
    return child


class TestChecking:
    def test_a_full_disk_is_not_the_uploaders_fault(self) -> None:
        """R-DATA-1: 503, and what to do."""

        async def check() -> None:
            async with checking([*JSONL, "--spool", "/dev/full"]) as child:
                await child.write(ROW)
                await child.report()

        with pytest.raises(UnavailableError, match="The server has no room to check the file"):
            asyncio.run(check())

    def test_a_child_that_died_is_told_by_its_end(self) -> None:
        """R-DATA-1."""

        async def check() -> None:
            async with checking([*JSONL, "--columns", "{"]) as child:
                await child.report()

        with pytest.raises(InvalidInputError, match="the checking process ended with code 1"):
            asyncio.run(check())

    def test_it_does_not_outlive_the_block(self) -> None:
        """R-DATA-1: whatever ends it."""

        async def leave() -> list[psutil.Process]:
            async with checking(JSONL) as child:
                await child.write(ROW)
                raise InterruptedError(*[each.pid for each in children()])

        with pytest.raises(InterruptedError) as caught:
            asyncio.run(leave())
        assert len(caught.value.args) == 1
        assert not psutil.pid_exists(caught.value.args[0])

    def test_a_file_that_lies_there_is_judged_in_place(self, tmp_path: Path) -> None:
        """R-DATA-3: once more, with options that came late."""
        source, clean = tmp_path / "raw", tmp_path / "clean"
        source.write_bytes(ROW + b"{oops\n")

        async def check() -> int:
            words = [*JSONL, "--source", str(source), "--clean", str(clean), "--on-error", "skip"]
            async with checking(words) as child:
                return (await child.report()).rows

        assert asyncio.run(check()) == 1
        assert clean.read_bytes().count(b"\n") == 1

    def test_a_child_waits_for_the_next_file(self) -> None:
        """performance.md, Ingest: it has begun before the file comes; and one that was killed meanwhile is not used."""

        async def check() -> tuple[int, int, int]:
            async with contextlib.aclosing(Checkers()) as checkers:
                async with checkers.checking(JSONL) as child:
                    await child.write(ROW)
                    assert (await child.report()).rows == 1
                first = await waiting()
                async with checkers.checking(JSONL) as child:
                    second = child.pid
                killed = await waiting()
                killed.kill()
                while killed.is_running():  # noqa: ASYNC110  # the loop reaps it; psutil's wait would take its end away
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.1)  # and is told by a thread
                async with checkers.checking(JSONL) as child:
                    await child.write(ROW)
                    assert (await child.report()).rows == 1
                    return first.pid, second, int(child.pid == killed.pid)

        first, second, was_used = asyncio.run(check())
        assert (second, was_used) == (first, 0)
        assert children() == []
