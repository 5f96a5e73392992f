"""Rows of one kind become rows of another by a job; preference rows (R-DATA-2)."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.datasets.sending import failed, succeeded
from tests.api.datasets.uploading import ok, refused, upload
from tests.support.engine import Engine
from tests.support.gateway import Account

CHAT = {
    "messages": [
        {"role": "system", "content": "کوتاه بگو"},
        {"role": "user", "content": "سلام"},
        {"role": "assistant", "content": "درود"},
        {"role": "user", "content": "خوبی؟"},
        {"role": "assistant", "content": "بله"},
    ]
}
PREFERENCE = {"prompt": "پایتخت؟", "chosen": "تهران", "rejected": "شیراز"}
ALONE = {"messages": [{"role": "assistant", "content": "تنها"}]}


@pytest.fixture(scope="module")
def someone(engine: Engine, sign_up: Callable[[], Account]) -> httpx.Client:
    """Someone whose jobs are done."""
    del engine
    return sign_up().client


def lines(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def made(client: httpx.Client, *rows: dict[str, Any], name: str = "rows.jsonl", **files: Any) -> Any:
    """A dataset of these rows."""
    return ok(upload(client, {"dataset": (name, lines(*rows)), **files}))


def convert(client: httpx.Client, dataset_id: str, **body: Any) -> httpx.Response:
    return client.post(f"/api/datasets/{dataset_id}/convert", json=body)


def queued(answer: httpx.Response) -> str:
    assert answer.status_code == 202, answer.text
    return str(answer.json()["data"]["id"])


def samples(client: httpx.Client, dataset_id: str) -> Any:
    return ok(client.get(f"/api/datasets/preview/{dataset_id}"))["samples"]


class TestConversion:
    @pytest.mark.parametrize(
        ("row", "to", "expected"),
        [
            (
                {"question": "a", "answer": "b"},
                "messages",
                [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}],
            ),
            ({"question": "a", "answer": "b"}, "text", [{"text": "a\nb"}]),
            (CHAT, "qa", [{"question": "سلام", "answer": "درود"}, {"question": "خوبی؟", "answer": "بله"}]),
            (CHAT, "text", [{"text": "کوتاه بگو\nسلام\nدرود\nخوبی؟\nبله"}]),
            (PREFERENCE, "qa", [{"question": "پایتخت؟", "answer": "تهران"}]),
            (
                PREFERENCE,
                "messages",
                [{"messages": [{"role": "user", "content": "پایتخت؟"}, {"role": "assistant", "content": "تهران"}]}],
            ),
        ],
    )
    def test_each_pair_of_the_table(
        self, someone: httpx.Client, row: dict[str, Any], to: str, expected: list[dict[str, Any]]
    ) -> None:
        """R-DATA-2: a new dataset; the old one stays as it was."""
        source = made(someone, row, name=f"{to}.jsonl")
        result = succeeded(someone, queued(convert(someone, source["id"], to=to)))
        assert samples(someone, result["dataset_id"]) == expected
        dataset = ok(someone.get(f"/api/datasets/{result['dataset_id']}"))
        assert (dataset["row_schema"], dataset["name"]) == (to, f"{to}.jsonl-{to}")
        assert samples(someone, source["id"]) == [row]

    def test_splits_stay_and_the_same_again_is_the_same_dataset(self, someone: httpx.Client) -> None:
        """R-DATA-2, R-DATA-6, R-DATA-7."""
        held_out = ("test.jsonl", lines({"question": "c", "answer": "d"}))
        source = made(someone, {"question": "a", "answer": "b"}, test=held_out)
        first = succeeded(someone, queued(convert(someone, source["id"], to="text", name="متن")))
        dataset = ok(someone.get(f"/api/datasets/{first['dataset_id']}"))
        assert dataset["name"] == "متن"
        assert [(split["split"], split["rows"]) for split in dataset["splits"]] == [("train", 1), ("test", 1)]
        again = succeeded(someone, queued(convert(someone, source["id"], to="text", name="متن")))
        assert (again["dataset_id"], again["created"]) == (first["dataset_id"], False)

    def test_rows_that_cannot_be_converted_are_told_by_line_or_left_out(self, someone: httpx.Client) -> None:
        """R-DATA-2, R-DATA-3."""
        source = made(someone, CHAT, ALONE, CHAT | {"id": 3})
        error = failed(someone, queued(convert(someone, source["id"], to="qa")))
        assert error["message"].startswith("1 of 3 rows cannot be converted.")
        assert error["errors"] == ["Line 2: no turn of the assistant's follows one of the user's."]
        result = succeeded(someone, queued(convert(someone, source["id"], to="qa", on_error="skip")))
        assert (result["rows"], result["total_lines"], result["error_count"]) == (4, 3, 1)
        only_bad = made(someone, ALONE)
        error = failed(someone, queued(convert(someone, only_bad["id"], to="qa", on_error="skip")))
        assert error["code"] == "conversion_failed"

    def test_a_pair_that_there_is_not_is_refused_with_those_that_there_are(self, someone: httpx.Client) -> None:
        """R-DATA-2."""
        source = made(someone, {"question": "a", "answer": "b"})
        told = refused(convert(someone, source["id"], to="preference"))
        assert told == "qa rows cannot become preference rows. They can become: messages, text."
        text = made(someone, {"text": "a"})
        assert refused(convert(someone, text["id"], to="qa")).endswith("They can become: nothing else.")
        assert "There is no dataset" in refused(convert(someone, "ds_none", to="qa"), 404)
        assert "has no version 9" in refused(convert(someone, source["id"], to="text", version=9), 404)
        assert convert(someone, source["id"], to="poems").status_code == 422


class TestPreference:
    def test_rows_are_kept_shown_and_refused_by_methods_that_cannot_use_them(self, someone: httpx.Client) -> None:
        """R-DATA-2, R-TRAIN-2: the sentence says what fits."""
        source = made(someone, PREFERENCE)
        assert source["row_schema"] == "preference"
        assert samples(someone, source["id"]) == [PREFERENCE]
        answer = someone.post("/api/train/start", json={"datasetId": source["id"], "method": "pretrain"})
        told = refused(answer)
        assert answer.json()["code"] == "method_unfit"
        assert "Method pretrain does not fit: preference rows hold a chosen and a rejected answer" in told
        assert f"POST /api/datasets/{source['id']}/convert" in told
