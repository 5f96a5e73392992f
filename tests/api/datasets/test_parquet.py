"""Parquet: checked by a job, by rows, in bounded memory (R-DATA-1 to R-DATA-3)."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.api.datasets.sending import failed, sent, succeeded
from tests.api.datasets.uploading import ROW, ok, refused, upload
from tests.support.engine import Engine
from tests.support.gateway import Account


@pytest.fixture(scope="module")
def someone(engine: Engine, sign_up: Callable[[], Account]) -> httpx.Client:
    """Someone whose jobs are done."""
    del engine
    return sign_up().client


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=100)
    return sink.getvalue()


def queued(answer: httpx.Response) -> str:
    assert answer.status_code == 202, answer.text
    job = answer.json()["data"]
    assert (job["type"], job["queue"]) == ("import", "io")
    return str(job["id"])


class TestUpload:
    def test_in_one_request_it_is_stored_and_a_job_makes_the_dataset(self, someone: httpx.Client) -> None:
        """R-DATA-1: 202 with the job; the rows are kept as JSON Lines."""
        data = parquet(question=["سلام", "خوبی؟"], answer=["درود", "بله"], n=[1, 2])
        test = ("held-out.jsonl", ROW)
        answer = upload(someone, {"dataset": ("گپ.parquet", data), "test": test})
        result = succeeded(someone, queued(answer))
        dataset = ok(someone.get(f"/api/datasets/{result['dataset_id']}"))
        assert (dataset["name"], dataset["row_schema"], dataset["rows"]) == ("گپ.parquet", "qa", 3)
        preview = ok(someone.get(f"/api/datasets/preview/{dataset['id']}?limit=2"))
        assert preview["samples"] == [{"question": "سلام", "answer": "درود"}, {"question": "خوبی؟", "answer": "بله"}]

    def test_in_parts(self, someone: httpx.Client) -> None:
        """R-DATA-1, R-DATA-8: with columns; more rows than a batch."""
        many = [str(number) for number in range(1_000)]
        data = parquet(prompt=many, reply=pa.array(["آری"] * 1_000).dictionary_encode())
        columns = {"question": "prompt", "answer": "reply"}
        result = succeeded(someone, sent(someone, data, "rows.parquet", columns=columns))
        assert result["rows"] == 1_000
        preview = ok(someone.get(f"/api/datasets/preview/{result['dataset_id']}?offset=999"))
        assert preview["samples"] == [{"question": "999", "answer": "آری"}]

    def test_chats_and_preferences(self, someone: httpx.Client) -> None:
        """R-DATA-2."""
        chats = [[{"role": "user", "content": "a", "name": None}, {"role": "assistant", "content": "b", "name": "x"}]]
        result = succeeded(someone, sent(someone, parquet(messages=chats), "chats.parquet"))
        assert result["row_schema"] == "messages"
        data = parquet(prompt=["a"], chosen=["b"], rejected=["c"])
        assert succeeded(someone, sent(someone, data, "p.parquet"))["row_schema"] == "preference"

    def test_bad_rows_are_told_by_their_numbers(self, someone: httpx.Client) -> None:
        """R-DATA-3: `Row N`."""
        data = parquet(question=["a", None, "c"], answer=["b", "b", " "])
        error = failed(someone, sent(someone, data, "rows.parquet"))
        assert error["code"] == "dataset_invalid"
        assert error["errors"] == [
            "Row 2: the field question is null, but must be a text.",
            "Row 3: the field answer is empty.",
        ]
        result = succeeded(someone, sent(someone, data, "rows.parquet", on_error="skip"))
        assert (result["rows"], result["error_count"]) == (1, 2)

    @pytest.mark.parametrize(
        ("data", "told"),
        [
            (b"PAR1 and nothing more", "The file is not Parquet: Parquet magic bytes not found"),
            (parquet(question=[1], answer=["b"]), "the column question holds int64, and text is needed"),
            (parquet(messages=["x"]), "the column messages holds string, and a list of turns is needed"),
            (parquet(foo=["x"]), "The fields (foo) are of no known kind of row"),
            (parquet(question=pa.array([], pa.string()), answer=pa.array([], pa.string())), "The file holds no rows"),
        ],
    )
    def test_what_cannot_be_used_says_why(self, someone: httpx.Client, data: bytes, told: str) -> None:
        """R-DATA-1."""
        assert told in failed(someone, sent(someone, data, "rows.parquet"))["message"]

    def test_what_is_refused_at_once(self, someone: httpx.Client) -> None:
        """R-DATA-1: before anything is stored."""
        assert "no rows" in refused(upload(someone, {"dataset": ("a.parquet", b"")}))
        assert "larger than the limit" in refused(upload(someone, {"dataset": ("a.parquet", bytes(100_001))}), 413)
        both = {"dataset": ("a.parquet", parquet(text=["a"])), "test": ("b.jsonl", b"{oops\n")}
        assert "not JSON Lines" in refused(upload(someone, both))
        answer = upload(someone, {"dataset": ("a.parquet", parquet(text=["a"]))}, dataset_id="ds_none")
        assert "There is no dataset ds_none" in refused(answer, 404)
        assert "Send one of .jsonl, .json, .csv, .parquet" in refused(upload(someone, {"file": ("a.xls", b"x")}), 415)


class TestMemory:
    def test_a_row_group_of_a_gigabyte_takes_little(self, tmp_path: Path) -> None:
        """R-DATA-1: constant memory, whatever the writer's row groups are; rows beyond the limit are refused."""
        path = tmp_path / "large.parquet"
        text = pa.array([f"{number} " + "متن " * 100 for number in range(1_000)])
        table = pa.table({"text": pa.concat_arrays([text] * 600)})
        pq.write_table(table, path, row_group_size=600_000, compression="zstd")
        held = table.nbytes
        del table
        report, growth_bytes = judged(path, tmp_path / "clean", 1 << 40)
        assert (report["valid"], report["rows"]) == (True, 600_000)
        assert growth_bytes < 100 << 20 < held // 4
        report, _ = judged(path, tmp_path / "clean", 10_000_000)
        assert report["problem"] == "dataset_too_large"


def judged(path: Path, clean: Path, limit_bytes: int) -> tuple[Any, int]:
    """What a child finds, and by how much it grew."""
    program = (
        "import resource, sys, msgspec; from pathlib import Path\n"
        "from simorgh_shared.datasets.check import CheckOptions\n"
        "from simorgh_shared.datasets.parquet import judge_parquet\n"
        "from simorgh_shared.domain.errors import AppError\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "path, clean, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])\n"
        "try:\n"
        "    report = judge_parquet(path, '', CheckOptions(format='parquet', clean=clean), limit)\n"
        "except AppError as error:\n"
        "    report = {'problem': error.code}\n"
        "print(msgspec.json.encode(report).decode()); print(peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), str(clean), str(limit_bytes)], capture_output=True, check=True
    )
    report, growth_kib = done.stdout.splitlines()
    return json.loads(report), int(growth_kib) * 1024
