"""One training run by the gateway, its worker killed in between: the trace that it leaves, and what it used."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from simorgh_shared.schemas.job_usage import JobUsage
from tests.support.engine import ROWS, Engine, running_engine
from tests.support.gateway import PASSWORD, Account, register, running_gateway
from tests.support.otlp import Collector, Exported, running_collector
from tests.support.stack import Bucket, Database

CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"
RUN = {
    "model": "simorgh-2m",
    "method": "pretrain",
    "batchSize": 2,
    "sequenceLength": 64,
    "vocabSize": 300,
    "loggingSteps": 1,
    "saveSteps": 2,
    "maxSteps": 8,
    "evalFraction": 0,
    "threads": 1,
}
PRICES = {"SIMORGH_PRICE_PER_KWH": "0.5", "SIMORGH_PRICE_CURRENCY": "EUR"}
ENTRIES = (
    "simorgh_api.dispatcher.main",
    "simorgh_trainer.main",
    "simorgh_voice.main",
    "simorgh_inference.main",
)


@dataclass(frozen=True)
class Ran:
    """What is left of the run."""

    engine: Engine
    account: Account
    collector: Collector
    run_id: str


@pytest.fixture(scope="module")
def ran(database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("traced")
    servers = {"SIMORGH_DATABASE_URL": database.url, "SIMORGH_REDIS_URL": redis_url} | bucket.environment()
    with running_collector() as collector:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with running_engine(database, redis_url, bucket, folder) as engine:
            engine.more_environment |= traced | PRICES
            engine.start_dispatcher()
            worker = engine.start_worker("train.cpu")
            with (
                running_gateway(folder, **servers, **traced) as api,
                httpx.Client(base_url=api.url, timeout=20) as client,
            ):
                account = register(client)
                engine.project_id = account.project_id
                run_id = _begun(client)
                engine.wait(lambda: engine.job(run_id).step_done >= 2, "a checkpoint is committed")
                engine.kill_group(worker)
                engine.start_worker("train.cpu")
                job = engine.wait_status(run_id, "succeeded", "failed")
                assert job.status == "succeeded", job.error
                engine.processes[-1].terminate()
                engine.processes[-1].wait(30)
                yield Ran(engine, account, collector, run_id)


def _begun(client: httpx.Client) -> str:
    rows = "\n".join(json.dumps({"question": q, "answer": a}) for q, a in ROWS).encode()
    sent = client.post("/api/datasets/upload", files={"dataset": ("rows.jsonl", rows)})
    body = RUN | {"datasetId": sent.json()["data"]["id"]}
    headers = {"traceparent": f"00-{CALLER}-00f067aa0ba902b7-01"}
    answer = client.post("/api/train/start", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    run_id: str = answer.json()["data"]["runId"]
    return run_id


class TestTrace:
    def test_request_dispatcher_worker_and_child_are_one_trace(self, ran: Ran) -> None:
        """R-OPS-5: below the span that the caller named, each with the right parent."""
        found = ran.collector.of(CALLER)
        request = only(found, "POST /api/train/start")
        assert (request.service, request.parent_id) == ("simorgh-api", "00f067aa0ba902b7")
        dispatch = next(span for span in found if span.name == "dispatch")
        assert (dispatch.service, dispatch.parent_id) == ("simorgh-dispatcher", request.span_id)
        attempt = newest(found, "attempt train")
        assert (attempt.service, attempt.parent_id) == ("simorgh-trainer-worker", request.span_id)
        assert attempt.attributes["simorgh.job_id"] == ran.run_id
        assert attempt.attributes["simorgh.status"] == "succeeded"
        assert attempt.attributes["simorgh.attempt"] == ran.engine.job(ran.run_id).attempt
        child = newest(found, "child")
        assert child.parent_id == attempt.span_id
        for name in ("materialise", "upload"):
            assert newest(found, name).parent_id == attempt.span_id
        for name in ("load", "train", "checkpoint"):
            assert newest(found, name).parent_id == child.span_id

    def test_phases_lie_within_what_they_are_phases_of(self, ran: Ran) -> None:
        """R-OPS-5: they are told with the child's own times."""
        found = ran.collector.of(CALLER)
        by_id = {span.span_id: span for span in found}
        slack_ns = 50_000_000  # a child's moments are whole milliseconds
        for span in found:
            assert span.begun_ns <= span.ended_ns
            parent = by_id.get(span.parent_id)
            if parent is not None and span.name in ("materialise", "child", "load", "train", "checkpoint"):
                assert parent.begun_ns - slack_ns <= span.begun_ns
                assert span.ended_ns <= parent.ended_ns + slack_ns, span.name
        train = newest(found, "train")
        assert train.attributes["simorgh.step"] == ran.engine.job(ran.run_id).progress["step"] >= 8
        assert newest(found, "load").ended_ns <= train.begun_ns + slack_ns

    def test_a_request_of_its_own_begins_a_trace_of_its_own(self, ran: Ran) -> None:
        sent = next(span for span in ran.collector.spans if span.name == "POST /api/datasets/upload")
        assert sent.trace_id != CALLER
        assert sent.parent_id == ""

    def test_nothing_that_somebody_wrote_is_in_it(self, ran: Ran) -> None:
        """R-OPS-6: no rows, no secrets, no addresses of mail."""
        told = json.dumps([[span.name, span.attributes] for span in ran.collector.spans], ensure_ascii=False)
        assert told.isascii()
        for secret in (PASSWORD, ran.account.email, ran.account.access_token, ran.account.refresh_token):
            assert secret not in told


class TestUsage:
    def test_every_attempt_counts_the_lost_one_too(self, ran: Ran) -> None:
        """R-OPS-7: processor time of real children, an estimate that says so, and what it costs."""
        answer = ran.account.client.get(f"/api/jobs/{ran.run_id}/usage")
        used = JobUsage.model_validate(answer.json()["data"])
        assert used.complete
        assert used.total is not None
        outcomes = [attempt.outcome for attempt in used.attempts]
        assert (outcomes[0], outcomes[-1], len(outcomes) >= 2) == ("lost", "succeeded", True)
        parts = [attempt.usage for attempt in used.attempts if attempt.usage is not None]
        assert len(parts) == len(used.attempts)
        assert all(part.cpu_seconds > 0.5 for part in parts), "torch takes a second to load"
        assert used.total.cpu_seconds == pytest.approx(sum(part.cpu_seconds for part in parts), abs=0.01)
        (energy,) = used.total.energy
        if energy.method == "cpu_time_by_watts":  # a machine that shows its counters measures
            assert used.total.estimate
            assert energy.joules == pytest.approx(10.0 * used.total.cpu_seconds, rel=1e-3)
        assert used.total.cost is not None
        assert used.total.cost.currency == "EUR"
        assert used.total.cost.total == pytest.approx(0.5 * used.total.energy_joules / 3.6e6, rel=1e-6)

    def test_no_other_project_sees_it(self, ran: Ran) -> None:
        with httpx.Client(base_url=ran.account.client.base_url, timeout=20) as stranger:
            register(stranger)
            assert stranger.get(f"/api/jobs/{ran.run_id}/usage").status_code == 404


def test_without_an_endpoint_nothing_that_exports_is_loaded() -> None:
    """R-OPS-5: no cost; by every program; of the gateway tests/api/core/test_process.py tells."""
    code = (
        f"import importlib, sys\nfor name in {ENTRIES!r}: importlib.import_module(name)\n"
        "from simorgh_shared import tracing\ntracing.configure_tracing('api')\n"
        "with tracing.span('x'): assert tracing.current().traceparent is None\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk.', 'opentelemetry.exporter'))])"
    )
    environment = {"PATH": "", "OTEL_EXPORTER_OTLP_ENDPOINT": ""}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    assert told.stdout.strip() == "[]", told.stderr


def only(spans: list[Exported], name: str) -> Exported:
    (found,) = [span for span in spans if span.name == name]
    return found


def newest(spans: list[Exported], name: str) -> Exported:
    return [span for span in spans if span.name == name][-1]
