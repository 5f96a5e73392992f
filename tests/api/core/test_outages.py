"""What the gateway answers while PostgreSQL, Redis or the object storage is away, and that it comes back by itself."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import psutil
import pytest

from simorgh_cli.backing import postgres
from simorgh_cli.backing.servers import BackingServers
from simorgh_cli.children import Child
from simorgh_shared.db import migrate
from tests.support.gateway import Gateway, register, running_gateway

ROW = '{"question": "سلام", "answer": "درود"}\n'.encode()


@dataclass(frozen=True)
class Fragile:
    """A gateway whose servers may be killed."""

    servers: BackingServers
    gateway: Gateway
    client: httpx.Client

    def kill(self, server: Child) -> None:
        """kill -9."""
        process = psutil.Process(server.pid)
        os.kill(server.pid, signal.SIGKILL)
        psutil.wait_procs([process], timeout=10)

    def wait(self, claim: Callable[[], bool], what: str, within_s: float = 20.0) -> None:
        """Until it holds."""
        deadline = time.monotonic() + within_s
        while not claim():
            assert time.monotonic() < deadline, f"{what} did not come true:\n{self.gateway.log.read_text()[-3000:]}"
            time.sleep(0.05)

    def parts(self) -> dict[str, str]:
        """What readiness says of each part."""
        return httpx.get(f"{self.gateway.url}/readyz", timeout=10).json()["data"]["parts"]


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fragile]:
    servers = BackingServers(tmp_path_factory.mktemp("fragile"), durable=False)
    at = servers.start()
    try:
        migrate.upgrade(at.database_owner_url, postgres.APP_ROLE)
        servers_at = {
            "SIMORGH_DATABASE_URL": at.database_url,
            "SIMORGH_REDIS_URL": at.redis_url,
            "SIMORGH_S3_ENDPOINT_URL": at.s3_endpoint_url,
            "SIMORGH_S3_ACCESS_KEY_ID": at.s3_access_key_id,
            "SIMORGH_S3_SECRET_ACCESS_KEY": at.s3_secret_access_key,
            "SIMORGH_S3_BUCKET": at.s3_bucket,
        }
        folder = tmp_path_factory.mktemp("gateway")
        with (
            running_gateway(folder, **servers_at) as gateway,
            httpx.Client(base_url=gateway.url, timeout=30) as client,
        ):
            register(client)
            yield Fragile(servers, gateway, client)
    finally:
        servers.stop()


class TestRedis:
    def test_killed_redis_degrades_and_refuses_nothing(self, fragile: Fragile) -> None:
        """R-OPS-4, architecture 1: a job is accepted without the broker."""
        fragile.kill(fragile.servers.valkey)
        ready = httpx.get(f"{fragile.gateway.url}/readyz", timeout=10)
        assert (ready.status_code, ready.json()["data"]["status"]) == (200, "degraded")
        assert ready.json()["data"]["parts"]["broker"] == "does not answer"
        started = fragile.client.post("/api/train/start", json={})
        assert started.status_code == 200, started.text
        fragile.servers.valkey.restart()
        fragile.wait(lambda: fragile.parts()["broker"] == "ok", "the broker is back")


class TestStorage:
    def test_killed_storage_refuses_uploads_and_keeps_nothing(self, fragile: Fragile) -> None:
        """R-DATA-1, R-OPS-4: 503 with Retry-After; reads that need no storage go on."""
        fragile.kill(fragile.servers.seaweed)
        answer = fragile.client.post("/api/datasets/upload", files={"dataset": ("never.jsonl", ROW)})
        assert answer.status_code == 503, answer.text
        assert answer.json()["code"] == "storage_unavailable"
        assert int(answer.headers["retry-after"]) > 0
        assert "never.jsonl" not in fragile.client.get("/api/datasets/list").text
        ready = httpx.get(f"{fragile.gateway.url}/readyz", timeout=10)
        assert (ready.status_code, ready.json()["data"]["parts"]["storage"]) == (503, "does not answer")
        fragile.servers.seaweed.restart()
        fragile.wait(lambda: fragile.parts()["storage"] == "ok", "the storage is back")
        again = fragile.client.post("/api/datasets/upload", files={"dataset": ("now.jsonl", ROW)})
        assert again.status_code == 200, again.text


class TestDatabase:
    def test_killed_database_is_said_in_each_surfaces_words_and_comes_back(self, fragile: Fragile) -> None:
        """R-API-3, R-OPS-4, architecture 6: 503 with Retry-After, never a 500; no restart of the gateway needed."""
        fragile.kill(fragile.servers.postgres)
        native = fragile.client.get("/api/jobs")
        openai = fragile.client.get("/v1/models")
        for answer in (native, openai):
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) > 0
        assert native.json()["code"] == openai.json()["error"]["code"] == "database_unavailable"
        assert "Nothing was changed" in native.json()["error"]
        ready = httpx.get(f"{fragile.gateway.url}/readyz", timeout=10)
        assert (ready.status_code, ready.json()["data"]["status"]) == (503, "unavailable")
        assert httpx.get(f"{fragile.gateway.url}/livez").status_code == 200
        fragile.servers.postgres.restart()
        fragile.wait(lambda: fragile.client.get("/api/jobs").status_code == 200, "the database is back")
        assert '"request_crashed"' not in fragile.gateway.log.read_text()
