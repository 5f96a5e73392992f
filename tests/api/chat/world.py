"""A gateway with a real inference server beside it, and tiny models in its registry."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from simorgh_shared.db.models import Model, ModelVersion
from simorgh_shared.domain.ids import new_id
from simorgh_shared.storage import manifests
from simorgh_shared.storage.manifests import Entry
from tests.support.engine import Engine, running_engine
from tests.support.gateway import Account, Gateway
from tests.support.stack import Bucket, Database

LONG = {"temperature": 0, "max_tokens": 1500}  # several seconds; the tiny model never draws the end token by itself
SHORT = {"temperature": 0, "max_tokens": 12}


@dataclass(frozen=True)
class World:
    """The gateway's surroundings."""

    engine: Engine
    gateway: Gateway
    model_folder: Path

    def add_model(self, project_id: str, name: str = "noise", folder: Path | None = None) -> tuple[str, str]:
        """Put the tiny model into a project's registry; the ids of model and version."""
        store, sessions = self.engine.store, self.engine.sessions
        files = [path for path in sorted((folder or self.model_folder).iterdir()) if path.is_file()]
        stored = [Entry(path.name, store.put(sessions, path)) for path in files]
        with sessions.begin() as session:
            model = Model(id=new_id("model"), project_id=project_id, name=name)
            session.add(model)
            session.flush()
            version = ModelVersion(
                id=new_id("mver"),
                model_id=model.id,
                version=1,
                kind="base",
                format="safetensors",
                manifest_id=manifests.create(session, "model", stored),
                bytes=sum(entry.blob.bytes for entry in stored),
            )
            session.add(version)
            return model.id, version.id

    def start_inference(self) -> None:
        """Start the inference server where the gateway looks for it."""
        self.engine.start("simorgh_inference.main")
        url = f"{self.gateway.environment['SIMORGH_INFERENCE_URL']}/readyz"
        self.engine.wait(lambda: _answers(url), "inference answers", within_s=30)

    def loaded(self) -> dict[str, dict[str, Any]]:
        """The live engines by version."""
        headers = {"x-simorgh-internal-key": self.gateway.environment["SIMORGH_INTERNAL_KEY"]}
        url = f"{self.gateway.environment['SIMORGH_INFERENCE_URL']}/internal/models"
        return httpx.get(url, headers=headers, timeout=10).json()["loaded"]

    def num_active(self) -> int:
        """Requests that any engine holds."""
        return sum(engine["num_active"] for engine in self.loaded().values())

    def wait_active(self, number: int, within_s: float = 30.0) -> None:
        """Wait until the engines hold so many requests."""
        self.engine.wait(lambda: self.num_active() == number, f"{number} requests are worked on", within_s)

    def num_messages(self, conversation_id: str) -> int:
        """Messages of a conversation that are kept."""
        with self.engine.sessions() as session:
            query = sa.text("SELECT count(*) FROM messages WHERE conversation_id = :id")
            return session.scalar(query, {"id": conversation_id}) or 0

    def num_open_transactions(self) -> int:
        """Transactions that the gateway holds open."""
        with self.engine.sessions() as session:
            query = sa.text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'simorgh-api' AND state LIKE 'idle in transaction%'"
            )
            return session.scalar(query) or 0


@contextmanager
def running_world(
    gateway: Gateway, database: Database, redis_url: str, bucket: Bucket, model_folder: Path, folder: Path
) -> Iterator[World]:
    """A world without its inference server yet."""
    with running_engine(database, redis_url, bucket, folder) as engine:
        engine.more_environment = {k: v for k, v in gateway.environment.items() if k.startswith("SIMORGH_IN")}
        engine.more_environment["SIMORGH_CACHE_DIR"] = str(folder / "cache")
        yield World(engine, gateway, model_folder)


def ok(answer: httpx.Response, status: int = 200) -> Any:
    """The data of a good answer."""
    assert answer.status_code == status, answer.text
    assert answer.json()["ok"] is True
    return answer.json()["data"]


def refused(answer: httpx.Response, status: int, code: str) -> str:
    """The sentence of a refusal."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert (answer.json()["ok"], answer.json()["code"]) == (False, code)
    return answer.json()["error"]


def say(account: Account, message: str, **fields: Any) -> httpx.Response:
    """Send a message to /api/chat."""
    return account.client.post("/api/chat", json={"message": message} | SHORT | fields, timeout=60)


def events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a stream as they come."""
    name = ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def seconds_until(claim: Any, within_s: float) -> float:
    """How long it took until a claim held; fails after `within_s`."""
    began = time.monotonic()
    while not claim():
        assert time.monotonic() - began < within_s, f"not within {within_s} s"
        time.sleep(0.01)
    return time.monotonic() - began


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False
