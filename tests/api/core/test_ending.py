"""A gateway that is told to end, beside another one: fault 46, R-DEPLOY-5."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from simorgh_shared.db.models import Model, ModelVersion
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import JobType, Queue
from simorgh_shared.queue import leases
from simorgh_shared.queue.leases import Event
from simorgh_shared.storage import manifests
from tests.support.engine import Engine, running_engine
from tests.support.gateway import Gateway, register, running_gateway
from tests.support.stack import Bucket, Database


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of an inference server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_streams_go_on_at_another_and_what_has_no_answer_is_told_to_come_again(
    database: Database, redis_url: str, bucket: Bucket, silent: str, gateway: Gateway, tmp_path: Path
) -> None:
    """R-DEPLOY-5: no event is missed or told twice, no request is answered with 500, and all end in time."""
    shared = {k: v for k, v in gateway.environment.items() if k.startswith("SIMORGH_") and "PORT" not in k}
    told = {"SIMORGH_INFERENCE_URL": silent, "SIMORGH_DRAIN_GRACE_S": "1"}
    with (
        running_engine(database, redis_url, bucket, tmp_path) as engine,
        running_gateway(tmp_path, **shared | told) as leaving,
        httpx.Client(base_url=leaving.url, timeout=20) as here,
        httpx.Client(base_url=gateway.url, timeout=20) as there,
        ThreadPoolExecutor(2) as others,
    ):
        account = register(here)
        there.headers["authorization"] = here.headers["authorization"]
        engine.project_id = account.project_id
        job_id = engine.submit(JobType.PROBE, Queue.IO, {})
        lease = engine.taken()
        _add_model(engine, "bird")
        body = {"model": "bird", "messages": [{"role": "user", "content": "سلام"}]}
        asked = [
            others.submit(here.post, "/v1/chat/completions", json=body | {"stream": is_stream})
            for is_stream in (False, True)
        ]
        process = psutil.Process(leaving.pid)
        _wait_until_asked(process, silent)

        seen: list[str] = []
        with here.stream("GET", f"/api/jobs/{job_id}/stream") as stream:
            for line in stream.iter_lines():
                if line.startswith("id: "):
                    seen.append(line[4:])
                if line == "event: running":
                    os.kill(leaving.pid, signal.SIGTERM)
        answers = [one.result(20) for one in asked]
        process.wait(20)

        with engine.sessions.begin() as session:
            leases.add_event(session, lease, Event("log", {"text": "meanwhile"}))
        with there.stream("GET", f"/api/jobs/{job_id}/stream", headers={"last-event-id": seen[-1]}) as stream:
            after = next(line[4:] for line in stream.iter_lines() if line.startswith("id: "))
    assert [*seen, after] == [str(number + 1) for number in range(len(seen) + 1)]
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "restarting"), answer.text
        assert float(answer.headers["retry-after"]) > 0


def _add_model(engine: Engine, name: str) -> None:
    path = engine.folder / "config.json"
    path.write_text("{}")
    blob = engine.store.put(engine.sessions, path)
    with engine.sessions.begin() as session:
        model_id = new_id("mdl")
        session.add(Model(id=model_id, project_id=engine.project_id, name=name))
        session.flush()
        manifest_id = manifests.create(session, "model", [manifests.Entry("config.json", blob)])
        kind = {"kind": "base", "format": "safetensors", "manifest_id": manifest_id, "bytes": 2}
        session.add(ModelVersion(id=new_id("mv"), model_id=model_id, version=1, **kind))


def _wait_until_asked(process: psutil.Process, silent: str) -> None:
    port = int(silent.rpartition(":")[2])
    moment, deadline = threading.Event(), 400
    for _ in range(deadline):
        if sum(bool(one.raddr) and one.raddr.port == port for one in process.net_connections("tcp")) == 2:
            return
        moment.wait(0.05)
    raise AssertionError("the requests do not reach the inference server")
