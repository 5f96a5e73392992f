"""Datasets whose statistics are not there yet: no worker runs here, so that jobs wait (R-DATA-5)."""

from collections.abc import Callable
from typing import Any

import httpx

from tests.api.datasets.uploading import ok, refused, row, upload
from tests.support.gateway import Account

PLAIN = [(f"پرسش شماره‌ی {number}", f"پاسخ شماره‌ی {number}") for number in range(5)]


def lines(rows: list[tuple[str, str]]) -> bytes:
    return b"".join(row(question, answer) for question, answer in rows)


def state(client: httpx.Client, dataset_id: str) -> Any:
    return ok(client.get(f"/api/datasets/{dataset_id}"))["statistics"]


class TestBeforeItIsReady:
    def test_the_dataset_is_usable_and_says_that_they_are_queued(self, client: httpx.Client) -> None:
        """R-DATA-5: rows, bytes and the hash are there at once."""
        made = ok(upload(client, {"dataset": ("wait.jsonl", lines(PLAIN))}))
        found = state(client, made["id"])
        assert (found["status"], found["summary"], found["error"]) == ("queued", None, None)
        assert ok(client.get(f"/api/jobs/{found['job_id']}"))["type"] == "statistics"
        assert ok(client.get(f"/api/datasets/preview/{made['id']}"))["total"] == len(PLAIN)
        for path in ("statistics", "report"):
            said = refused(client.get(f"/api/datasets/{made['id']}/{path}"), 409)
            assert said.startswith(f"The statistics of dataset {made['id']} are queued. They are ready soon")

    def test_a_second_dataset_of_the_same_content_waits_for_the_same_job(self, client: httpx.Client) -> None:
        """R-DATA-5: nothing is looked through twice."""
        files = {"dataset": ("twice.jsonl", lines(PLAIN[:3]))}
        one, other = (ok(upload(client, files, name=name))["id"] for name in ("one", "other"))
        assert one != other
        assert state(client, one)["job_id"] == state(client, other)["job_id"]

    def test_what_was_ended_is_started_again_once(self, client: httpx.Client) -> None:
        """R-DATA-5: and a second time changes nothing."""
        made = ok(upload(client, {"dataset": ("again.jsonl", lines(PLAIN[:2]))}))
        first = state(client, made["id"])["job_id"]
        client.post(f"/api/jobs/{first}/cancel")
        ended = state(client, made["id"])
        assert (ended["status"], ended["error"]) == ("failed", "Their job was cancelled.")
        said = refused(client.get(f"/api/datasets/{made['id']}/statistics"), 409)
        assert "Start them again with POST" in said
        started, again = (ok_202(client.post(f"/api/datasets/{made['id']}/statistics")) for _ in range(2))
        assert started["status"] == "queued"
        assert first != started["job_id"] == again["job_id"]

    def test_it_takes_no_place_in_the_queue_of_the_project(self, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-5, R-DATA-5: it is the platform's own work."""
        account = sign_up()
        made = ok(upload(account.client, {"dataset": ("own.jsonl", lines(PLAIN))}))
        assert state(account.client, made["id"])["status"] == "queued"
        assert ok(account.client.get(f"/api/projects/{account.project_id}/usage"))["queued_jobs"]["used"] == 0

    def test_other_projects_see_nothing(self, client: httpx.Client, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-4."""
        made = ok(upload(client, {"dataset": ("mine.jsonl", lines(PLAIN[:4]))}))
        other, begun = sign_up().client, state(client, made["id"])
        for path in ("statistics", "report"):
            assert made["id"] in refused(other.get(f"/api/datasets/{made['id']}/{path}"), 404)
        refused(other.post(f"/api/datasets/{made['id']}/statistics"), 404)
        assert state(client, made["id"])["job_id"] == begun["job_id"]


def ok_202(answer: httpx.Response) -> Any:
    assert answer.status_code == 202, answer.text
    return answer.json()["data"]
