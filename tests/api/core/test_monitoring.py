"""Machines, processes and queues over HTTP, measured by a real gateway, dispatcher and worker."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import pytest
import sqlalchemy as sa

from simorgh_api.usecases import monitoring
from simorgh_shared.db.models import HardwareHistory, HardwareSource
from simorgh_shared.domain.jobs import JobType, Queue
from tests.support.engine import Engine, running_engine
from tests.support.gateway import Account, register, running_gateway
from tests.support.stack import Bucket, Database

NODE = "node-seven"
FAST = {"SIMORGH_MONITORING_INTERVAL_S": "0.5", "SIMORGH_NODE_NAME": NODE}


@dataclass(frozen=True)
class Platform:
    """What is watched, and who watches."""

    engine: Engine
    account: Account
    worker_pid: int
    waiting_job: str


@pytest.fixture(scope="module")
def platform(
    database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("monitoring")
    servers = {"SIMORGH_DATABASE_URL": database.url, "SIMORGH_REDIS_URL": redis_url} | bucket.environment()
    with (
        running_engine(database, redis_url, bucket, folder) as engine,
        running_gateway(folder, **servers, **FAST) as api,
    ):
        engine.more_environment |= FAST
        engine.start_dispatcher()
        worker = engine.start_worker("io")
        waiting = engine.submit(JobType.PROBE, Queue.VOICE_GPU, {})
        with httpx.Client(base_url=api.url, timeout=20) as client:
            yield Platform(engine, register(client), worker.pid, waiting)


def ask(platform: Platform, path: str, **query: str) -> Any:
    answer = platform.account.client.get(f"/api/monitoring/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def until(read: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + 20
    while not holds(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def has_all(found: Any) -> bool:
    processes = {one["service"]: one for one in found["processes"]}
    rates = [one["figures"]["cpu_percent"] for one in processes.values()]
    return {"api", "dispatcher", "trainer-worker"} <= processes.keys() and None not in rates


class TestMetrics:
    def test_each_process_tells_what_it_and_its_machine_do(self, platform: Platform) -> None:
        """R-OPS-3: the figures are those of the real processes."""
        found = until(lambda: ask(platform, "metrics"), has_all)
        processes = {one["service"]: one for one in found["processes"]}
        worker = processes["trainer-worker"]
        held = psutil.Process(platform.worker_pid).memory_info().rss
        assert worker["figures"]["memory_bytes"] == pytest.approx(held, rel=0.3)
        assert worker["worker"] == {"queues": ["io"], "slots": 1, "running": 0, "draining": False}
        assert processes["api"]["worker"] is None
        (node,) = found["nodes"]
        assert (node["name"], node["services"]) == (NODE, ["api", "dispatcher", "trainer-worker"])
        assert node["figures"]["memory_bytes"] == psutil.virtual_memory().total
        assert 0 <= node["figures"]["cpu_percent"] <= 100
        assert node["figures"]["network_received_bytes_per_s"] >= 0
        assert node["figures"]["gpus"] is not None, "the worker looks for GPUs, so the node's are known"

    def test_a_queue_tells_how_much_waits_and_for_how_long(self, platform: Platform) -> None:
        """R-OPS-3."""
        queues = {one["queue"]: one for one in ask(platform, "metrics")["queues"]}
        assert set(queues) == set(Queue)
        assert (queues["voice.gpu"]["queued"], queues["voice.gpu"]["slots"], queues["io"]["slots"]) == (1, 0, 1)
        first = queues["voice.gpu"]["oldest_age_s"]
        again = {one["queue"]: one for one in ask(platform, "metrics")["queues"]}["voice.gpu"]["oldest_age_s"]
        assert 0 < first < again
        assert queues["io"]["oldest_age_s"] is None

    def test_nobody_learns_of_anybodys_jobs(self, platform: Platform) -> None:
        """The job that waits is another project's."""
        for path in ("metrics", "hardware"):
            assert platform.waiting_job not in json.dumps(ask(platform, path))

    @pytest.mark.parametrize("path", ["metrics", "hardware", "history?scope=node&name=a", "stream"])
    def test_who_is_not_signed_in_sees_nothing(self, platform: Platform, path: str) -> None:
        url = f"{platform.account.client.base_url}/api/monitoring/{path}"
        assert httpx.get(url).status_code == 401


class TestHardware:
    def test_a_machine_tells_what_it_is(self, platform: Platform) -> None:
        """R-OPS-3."""
        (found,) = until(lambda: ask(platform, "hardware"), lambda found: len(found) == 1)
        assert found["name"] == NODE
        assert found["figures"]["cpus"] == psutil.cpu_count()
        assert found["facts"]["system"].startswith("Linux")
        assert "gpus" in found["missing"] or found["figures"]["gpus"]


class TestHistory:
    def test_points_come_in_order_at_the_pace_of_the_samples(self, platform: Platform) -> None:
        """R-OPS-3: history."""
        found = until(
            lambda: ask(platform, "history", scope="node", name=NODE), lambda found: len(found["points"]) >= 2
        )
        moments = [point["at"] for point in found["points"]]
        assert moments == sorted(moments)
        assert found["period_s"] == 1
        assert 0 <= found["points"][-1]["values"]["cpu_percent"] <= 100
        week = ask(platform, "history", scope="node", name=NODE, window="week")
        assert (week["period_s"], len(week["points"]) > 0) == (300, True)

    def test_a_worker_and_a_queue_have_theirs(self, platform: Platform) -> None:
        name = next(one["name"] for one in ask(platform, "metrics")["processes"] if one["service"] == "trainer-worker")
        own = ask(platform, "history", scope="process", name=name)["points"][-1]["values"]
        assert own["processes"] >= 1
        assert not [figure for figure in own if figure.startswith("node_")]
        queue = until(
            lambda: ask(platform, "history", scope="queue", name="voice.gpu"),
            lambda found: found["points"] and found["points"][-1]["values"].get("queued"),
        )
        assert queue["points"][-1]["values"]["queued"] == 1
        assert queue["points"][-1]["values"]["oldest_age_s"] > 0
        idle = ask(platform, "history", scope="queue", name="io")["points"][-1]["values"]
        assert (idle["queued"], idle["running"], idle["oldest_age_s"]) == (0, 0, 0)

    @pytest.mark.parametrize("scope", ["node", "process", "queue"])
    def test_one_that_there_is_not_is_said(self, platform: Platform, scope: str) -> None:
        answer = platform.account.client.get("/api/monitoring/history", params={"scope": scope, "name": "no-such"})
        assert (answer.status_code, answer.json()["code"]) == (404, "monitoring_unknown")

    def test_the_rows_of_a_source_have_an_end(self, platform: Platform) -> None:
        """Retention: a ring, whatever comes; and what was not heard of for a week is forgotten."""
        with platform.engine.sessions.begin() as session:
            session.add(
                HardwareSource(
                    name="old", node="n", service="api", sample={}, every_s=1, at=sa.text("now() - interval '8 days'")
                )
            )
            session.flush()
            session.add(HardwareHistory(source="old", period_s=1, slot=0, at=sa.func.now(), figures={}))
        with platform.engine.sessions.begin() as session:
            assert monitoring.prune(session) == 1
            assert session.get(HardwareHistory, ("old", 1, 0)) is None


class TestStream:
    def read(self, url: str, headers: dict[str, str], num_events: int) -> list[Any]:
        found: list[Any] = []
        with httpx.stream("GET", url, headers=headers, timeout=20) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    found.append(json.loads(line.removeprefix("data: ")))
                if len(found) == num_events:
                    return found
        raise AssertionError(found)

    def test_readings_come_again_and_again(self, platform: Platform) -> None:
        """R-OPS-3: SSE."""
        account = platform.account
        url = f"{account.client.base_url}/api/monitoring/stream?every_s=1"
        first, second = self.read(url, {"authorization": f"Bearer {account.access_token}"}, 2)
        assert first["at"] < second["at"]
        assert {one["name"] for one in second["nodes"]} == {NODE}

    def test_a_ticket_opens_it(self, platform: Platform) -> None:
        """R-AUTH-7."""
        account = platform.account
        answer = account.client.post("/api/auth/tickets", json={"path": "/api/monitoring/stream"})
        ticket = answer.json()["data"]["ticket"]
        (found,) = self.read(f"{account.client.base_url}/api/monitoring/stream?ticket={ticket}", {}, 1)
        assert found["queues"]
