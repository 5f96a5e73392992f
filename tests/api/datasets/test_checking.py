"""The checking child as the gateway holds it (architecture 6)."""

import asyncio
from pathlib import Path

import psutil
import pytest

from simorgh_api.uploads.checking import checking
from simorgh_shared.domain.errors import InvalidInputError, UnavailableError
from tests.api.datasets.uploading import ROW

JSONL = ["--format", "jsonl"]


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
                children = psutil.Process().children()
                raise InterruptedError(*[each.pid for each in children if JSONL[1] in each.cmdline()])

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
