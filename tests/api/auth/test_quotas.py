"""What a project may use: what is counted, and what is read when it is used up."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from tests.api.auth.used import attempt, store
from tests.support.gateway import Account, Gateway, register, running_gateway
from tests.support.stack import Database

QUOTAS = {
    "SIMORGH_QUOTA_QUEUED_JOBS": "3",
    "SIMORGH_QUOTA_STORED_BYTES": "50000000",
    "SIMORGH_QUOTA_GPU_HOURS": "10",
    "SIMORGH_QUOTA_WINDOW_DAYS": "7",
}
HOUR = 3_600


@pytest.fixture(scope="module")
def small(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with small quotas, on the same servers."""
    same = {name: value for name, value in gateway.environment.items() if not name.endswith("_PORT")}
    with running_gateway(tmp_path_factory.mktemp("small"), **same | QUOTAS) as made:
        yield made


@pytest.fixture
def account(small: Gateway) -> Iterator[Account]:
    with httpx.Client(base_url=small.url, timeout=20) as client:
        yield register(client)


def start(account: Account) -> httpx.Response:
    """Start a run; no worker takes it."""
    return account.client.post("/api/train/start", json={})


def upload(account: Account, num_bytes: int, name: str = "d", letter: str = "a") -> httpx.Response:
    """A dataset of about so many bytes."""
    row = json.dumps({"question": letter * 480, "answer": "x"}).encode() + b"\n"
    return account.client.post(
        "/api/datasets/upload", files={"dataset": (f"{name}.jsonl", row * (num_bytes // len(row)))}
    )


def usage(account: Account) -> dict[str, dict[str, float]]:
    """What the project uses."""
    answer = account.client.get(f"/api/projects/{account.project_id}/usage")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def allow(owner: sa.Engine, account: Account, **limits: float) -> None:
    """Set a project's own limits, as an operator does."""
    columns = ", ".join(limits)
    values = ", ".join(f":{name}" for name in limits)
    changes = ", ".join(f"{name} = :{name}" for name in limits)
    statement = f"""
        INSERT INTO project_quotas (project_id, {columns}) VALUES (:project_id, {values})
        ON CONFLICT (project_id) DO UPDATE SET {changes}
    """
    with owner.begin() as connection:
        connection.execute(sa.text(statement), {"project_id": account.project_id, **limits})


def refused(answer: httpx.Response, code: str) -> str:
    """The sentence of a quota that is used up."""
    assert (answer.status_code, answer.json()["code"]) == (429, code), answer.text
    assert int(answer.headers["retry-after"]) > 0
    return answer.json()["error"]


class TestQueuedJobs:
    """R-AUTH-5."""

    def test_a_full_queue_refuses_and_says_the_numbers(self, account: Account) -> None:
        """R-AUTH-5: cancelling one makes room."""
        runs = [start(account).json()["data"]["runId"] for _ in range(3)]
        said = refused(start(account), "quota_queued_jobs")
        assert said == (
            "This project has 3 jobs in its queues and may have 3. Wait until some have started, or cancel one."
        )
        assert usage(account)["queued_jobs"] == {"used": 3, "limit": 3}
        assert account.client.post(f"/api/jobs/{runs[0]}/cancel").status_code == 200
        assert start(account).status_code == 200

    def test_many_at_once_get_no_more(self, account: Account) -> None:
        """R-AUTH-5: two that count at the same time do not both take the last place."""
        with ThreadPoolExecutor(8) as pool:
            statuses = sorted(answer.status_code for answer in pool.map(lambda _: start(account), range(8)))
        assert statuses == [*[200] * 3, *[429] * 5]

    def test_a_resting_job_comes_back_only_where_there_is_room(self, account: Account) -> None:
        """R-AUTH-5: else pausing would be a way around."""
        run = start(account).json()["data"]["runId"]
        assert account.client.post(f"/api/jobs/{run}/pause").json()["data"]["status"] == "paused"
        others = [start(account).json()["data"]["runId"] for _ in range(3)]
        refused(account.client.post(f"/api/jobs/{run}/resume"), "quota_queued_jobs")
        account.client.post(f"/api/jobs/{others[0]}/cancel")
        assert account.client.post(f"/api/jobs/{run}/resume").json()["data"]["status"] == "queued"

    def test_a_repeated_request_finds_its_job_though_the_queue_is_full(self, account: Account) -> None:
        """R-TRAIN-14: it asks for nothing new."""
        headers = {"idempotency-key": "mine"}
        first = account.client.post("/api/train/start", json={}, headers=headers)
        for _ in range(2):
            start(account)
        again = account.client.post("/api/train/start", json={}, headers=headers)
        assert again.json()["data"]["runId"] == first.json()["data"]["runId"]

    def test_a_project_has_limits_of_its_own_where_the_operator_set_some(
        self, account: Account, owner: sa.Engine
    ) -> None:
        """R-AUTH-5: the other limits stay the defaults."""
        allow(owner, account, queued_jobs=1)
        assert start(account).status_code == 200
        assert "may have 1" in refused(start(account), "quota_queued_jobs")
        assert usage(account)["stored_bytes"]["limit"] == 50_000_000

    def test_the_application_cannot_change_them(self, database: Database, account: Account) -> None:
        """R-AUTH-5: what a project may use is not the gateway's to say."""
        engine = sa.create_engine(database.url, poolclass=sa.NullPool)
        with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(
                sa.text("INSERT INTO project_quotas (project_id, queued_jobs) VALUES (:id, 9)"),
                {"id": account.project_id},
            )


class TestStoredBytes:
    """R-AUTH-5."""

    @pytest.fixture(autouse=True)
    def _tight(self, account: Account, owner: sa.Engine) -> None:
        allow(owner, account, stored_bytes=100_000)

    def test_equal_content_is_counted_once_and_deleted_content_not(self, account: Account) -> None:
        """R-AUTH-5: distinct blobs of what is live."""
        one = upload(account, 40_000, "one").json()["data"]
        size = usage(account)["stored_bytes"]["used"]
        assert 39_000 < size <= 40_000
        upload(account, 40_000, "same-content")
        assert usage(account)["stored_bytes"] == {"used": size, "limit": 100_000}
        upload(account, 40_000, "other", letter="b")
        assert usage(account)["stored_bytes"]["used"] == 2 * size
        account.client.delete(f"/api/datasets/{one['id']}")
        assert usage(account)["stored_bytes"]["used"] == 2 * size, "the other dataset holds the same bytes"

    def test_an_upload_that_does_not_fit_leaves_nothing(self, account: Account) -> None:
        """R-AUTH-5, R-DATA-1: deleting makes room."""
        kept = upload(account, 60_000, "kept").json()["data"]["id"]
        said = refused(upload(account, 60_000, "more", letter="b"), "quota_stored_bytes")
        assert "of 100000 bytes, which leaves too little room" in said
        names = [row["name"] for row in account.client.get("/api/datasets/list").json()["data"]]
        assert [name for name in names if "more" in name] == []
        assert account.client.delete(f"/api/datasets/{kept}").status_code == 200
        assert upload(account, 60_000, "more", letter="b").status_code == 200

    def test_uploads_at_once_do_not_pass_together(self, account: Account) -> None:
        """R-AUTH-5."""
        with ThreadPoolExecutor(4) as pool:
            statuses = list(pool.map(lambda n: upload(account, 45_000, f"d{n}", "abcd"[n]).status_code, range(4)))
        assert sorted(statuses) == [200, 200, 429, 429]

    def test_a_full_store_starts_no_job(self, account: Account, owner: sa.Engine) -> None:
        """R-AUTH-5: a job writes checkpoints and a model."""
        data = upload(account, 50_000).json()["data"]
        allow(owner, account, stored_bytes=usage(account)["stored_bytes"]["used"])
        answer = account.client.post("/api/train/start", json={"dataset": data["id"]})
        assert "of " in refused(answer, "quota_stored_bytes")
        assert account.client.get("/api/jobs", params={"type": "train"}).json()["data"] == []

    def test_models_and_checkpoints_count(self, account: Account, owner: sa.Engine) -> None:
        """R-AUTH-5: of a model that was made from its last checkpoint only what differs is more."""
        allow(owner, account, stored_bytes=50_000_000)
        run = start(account).json()["data"]["runId"]
        before = usage(account)["stored_bytes"]["used"]
        store(owner, account, run, {"weights": 1_000, "optimiser": 2_000}, {"weights": 1_000, "tokenizer": 30})
        assert usage(account)["stored_bytes"]["used"] == before + 3_030


class TestGpuHours:
    """R-AUTH-5."""

    def test_they_are_summed_over_devices_and_attempts_in_the_window(self, account: Account, owner: sa.Engine) -> None:
        """R-AUTH-5: an attempt that runs counts until now, one before the window not, one across it in part."""
        day = 24 * HOUR
        attempt(owner, account, 1, 2, began_s=3 * HOUR, ended_s=2 * HOUR)
        attempt(owner, account, 2, 1, began_s=HOUR, ended_s=None)
        attempt(owner, account, 3, 4, began_s=20 * day, ended_s=10 * day)
        attempt(owner, account, 4, 1, began_s=7 * day + HOUR, ended_s=7 * day - HOUR)
        attempt(owner, account, 5, 0, began_s=5 * HOUR, ended_s=4 * HOUR)
        found = usage(account)["gpu_hours"]
        assert found["used"] == pytest.approx(4.0, abs=0.02)
        assert (found["limit"], found["window_days"]) == (10, 7)

    def test_a_job_for_a_gpu_is_refused_when_they_are_used_up(self, account: Account, owner: sa.Engine) -> None:
        """R-AUTH-5: work without one goes on."""
        attempt(owner, account, 1, 6, began_s=2 * HOUR, ended_s=0)
        said = refused(
            account.client.post("/api/train/start", json={"device": "gpu"}),
            "quota_gpu_hours",
        )
        assert said.startswith("This project used 12.0 GPU hours in the last 7 days and may use 10.")
        assert account.client.post("/api/train/start", json={"device": "cpu"}).status_code == 200

    def test_anothers_usage_is_not_there(self, account: Account, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-4."""
        answer = account.client.get(f"/api/projects/{sign_up().project_id}/usage")
        assert (answer.status_code, answer.json()["code"]) == (404, "project_not_found")
