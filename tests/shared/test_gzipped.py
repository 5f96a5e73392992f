"""Gzip as it lies in storage: what was packed comes back, and damage is told."""

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simorgh_shared.gzipped import GunzipError, GzipWriter, clipped, gunzipped, read_plain

CHUNK_BYTES = 1 << 20


def packed(path: Path, *pieces: bytes) -> bytes:
    writer = GzipWriter(path)
    for piece in pieces:
        writer.write(piece)
    writer.close()
    return path.read_bytes()


class TestGzipWriter:
    def test_anyone_can_unpack_it(self, tmp_path: Path) -> None:
        """An operator with nothing but gunzip."""
        pieces = [os.urandom(10), b"", "سلام\n".encode() * 300_000]
        assert gzip.decompress(packed(tmp_path / "a.gz", *pieces)) == b"".join(pieces)

    def test_a_full_disk_is_told_and_nothing_hangs(self) -> None:
        """R-DATA-1: 503, not the uploader's fault."""
        writer = GzipWriter(Path("/dev/full"))
        writer.write(os.urandom(CHUNK_BYTES))
        with pytest.raises(OSError, match="No space left"):
            writer.close()


class TestReadPlain:
    def test_its_name_says_whether_it_is_packed(self, tmp_path: Path) -> None:
        packed(tmp_path / "a.gz", b"rows")
        (tmp_path / "a").write_bytes(b"rows")
        for name in ("a", "a.gz"):
            with read_plain(tmp_path / name) as file:
                assert file.read() == b"rows"


class TestGunzipped:
    def test_no_chunk_is_larger_than_64_kib(self, tmp_path: Path) -> None:
        """Rows that repeat shrink a thousandfold: what is unpacked at a time is bounded all the same."""
        content = b"0" * (20 << 20)
        data = packed(tmp_path / "a.gz", content)
        assert len(data) < 200_000
        chunks = list(gunzipped(iter([data]), len(content)))
        assert max(map(len, chunks)) <= 65_536
        assert b"".join(chunks) == content

    @given(content=st.binary(max_size=2_000), step=st.integers(1, 50))
    def test_pieces_may_end_anywhere(self, content: bytes, step: int) -> None:
        data = gzip.compress(content)
        pieces = (data[at : at + step] for at in range(0, len(data), step))
        assert b"".join(gunzipped(pieces, len(content))) == content

    @pytest.mark.parametrize(
        ("damage", "num_bytes"),
        [
            pytest.param(lambda data: data[:-9], 5_000, id="cut off"),
            pytest.param(lambda data: data[:40] + b"\xff\xff\xff" + data[43:], 5_000, id="changed"),
            pytest.param(lambda data: b"not gzip at all", 5_000, id="something else"),
            pytest.param(lambda data: data, 4_999, id="holds more"),
            pytest.param(lambda data: data, 5_001, id="holds less"),
            pytest.param(lambda data: b"", 5_000, id="nothing"),
        ],
    )
    def test_damage_is_told(self, damage: "object", num_bytes: int) -> None:
        """R-JOB-1: never other bytes than those that were stored."""
        assert callable(damage)
        data = damage(gzip.compress(os.urandom(5_000)))
        with pytest.raises(GunzipError):
            list(gunzipped(iter([data]), num_bytes))


class TestClipped:
    @given(
        sizes=st.lists(st.integers(0, 9), max_size=9), start=st.integers(0, 40), length=st.none() | st.integers(0, 40)
    )
    def test_it_is_a_slice(self, sizes: list[int], start: int, length: int | None) -> None:
        content = bytes(range(sum(sizes)))
        at, chunks = 0, []
        for size in sizes:
            chunks.append(content[at : at + size])
            at += size
        expected = content[start:] if length is None else content[start : start + length]
        assert b"".join(clipped(iter(chunks), start, length)) == expected
