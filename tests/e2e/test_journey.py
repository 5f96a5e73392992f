"""The journey of a first user over HTTP alone, against the whole platform as real processes."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import psutil
import pytest
from deploy.observability.series import BOUNDS, samples, unexpected

from tests.support.engine import ROWS, Engine, running_engine
from tests.support.gateway import Account, Gateway
from tests.support.ports import free_port
from tests.support.stack import Bucket, Database

CAMEL = {
    "modelName": "simorgh-2m",
    "method": "pretrain",
    "batchSize": 2,
    "sequenceLength": 64,
    "vocabSize": 300,
    "learningRate": 1e-3,
    "loggingSteps": 1,
    "saveSteps": 5,
    "evalSteps": 10,
    "threads": 1,
    "epochs": 100,
}
METRICS_PORTS = {"dispatcher": free_port(), "worker": free_port()}


@pytest.fixture(scope="module")
def platform(
    gateway: Gateway, database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("platform")
    with running_engine(database, redis_url, bucket, folder) as made:
        made.more_environment = {k: v for k, v in gateway.environment.items() if k.startswith("SIMORGH_IN")}
        made.more_environment["SIMORGH_CACHE_DIR"] = str(folder / "cache")
        made.more_environment["SIMORGH_METRICS_PORT"] = str(METRICS_PORTS["dispatcher"])
        made.start_dispatcher()
        made.more_environment["SIMORGH_METRICS_PORT"] = str(METRICS_PORTS["worker"])
        made.start_worker("train.cpu")
        made.start("simorgh_inference.main")
        url = gateway.environment["SIMORGH_INFERENCE_URL"]
        made.wait(lambda: _answers(f"{url}/readyz"), "inference answers", within_s=30)
        yield made


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def account(sign_up: Callable[[], Account]) -> Account:
    return sign_up()


def ok(answer: httpx.Response) -> dict:
    body = answer.json()
    assert answer.status_code == 200, body
    assert body["ok"] is True
    return body["data"]


def refused(answer: httpx.Response, status: int) -> str:
    body = answer.json()
    assert answer.status_code == status, body
    assert body["ok"] is False
    assert answer.headers["content-type"].startswith("application/problem+json")
    return body["error"] + " " + " ".join(body["errors"])


def upload(account: Account, name: str, body: bytes, **fields: str) -> httpx.Response:
    return account.client.post("/api/datasets/upload", files={"dataset": (name, body)}, data=fields)


def rows(number: int = len(ROWS)) -> bytes:
    lines = [json.dumps({"question": q, "answer": a}, ensure_ascii=False) for q, a in ROWS[:number]]
    return "\n".join(lines).encode() + b"\n"


@pytest.fixture(scope="module")
def dataset_id(account: Account) -> str:
    data = ok(upload(account, "../../گفتگو.jsonl", rows()))
    assert data["rows"] == len(ROWS)
    assert data["name"] == "گفتگو.jsonl"
    return data["id"]


class TestJourney:
    def test_train_control_resume_and_chat_over_http_alone(
        self, platform: Engine, account: Account, dataset_id: str
    ) -> None:
        """R-TRAIN-1, R-TRAIN-4, R-TRAIN-5, R-TRAIN-6, R-JOB-1, R-CHAT-1."""
        client = account.client
        started = ok(client.post("/api/train/start", json=CAMEL | {"datasetId": dataset_id, "maxSteps": 30}))
        run_id = started["runId"]
        assert started["phase"] == "queued"
        platform.wait(lambda: status(client, run_id)["phase"] == "running", "it runs")
        seen = stream(client, run_id, until=lambda kind, data: kind == "metrics" and data["step"] >= 2)
        assert [n for n, _, _ in seen] == list(range(1, len(seen) + 1))

        ok(client.post("/api/train/pause", json={"runId": run_id}))
        platform.wait(lambda: status(client, run_id)["phase"] == "paused", "it is paused")
        ok(client.post("/api/train/resume", json={"run_id": run_id}))
        platform.wait(lambda: status(client, run_id)["phase"] == "running", "it runs again")
        step = status(client, run_id)["step"] or 0
        platform.wait(lambda: (status(client, run_id)["step"] or 0) > step, "it goes on")
        ok(client.post("/api/train/checkpoint"))
        ok(client.post("/api/train/stop"))
        platform.wait(lambda: status(client, run_id)["phase"] == "stopped", "it is stopped")
        ok(client.post("/api/train/resume", json={"runId": run_id}))

        rest = stream(client, run_id, after=seen[-1][0], until=lambda kind, _: kind == "succeeded")
        assert [n for n, _, _ in seen + rest] == list(range(1, len(seen) + len(rest) + 1))
        ended = status(client, run_id)
        logged = client.get("/api/train/metrics", params={"runId": run_id}).json()["data"]
        assert [point["step"] for point in logged if "loss" in point] == list(range(1, 31))
        assert logged[-1]["loss"] < logged[0]["loss"]

        with openai.OpenAI(base_url=f"{client.base_url}/v1", api_key=account.access_token) as sdk:
            assert ended["modelId"] in [model.id for model in sdk.models.list()]
            ask = {"model": ended["modelId"], "messages": [{"role": "user", "content": "پرسش شماره 1 چیست؟"}]}
            plain = sdk.chat.completions.create(**ask, temperature=0, max_tokens=24)
            pieces = sdk.chat.completions.create(**ask, temperature=0, max_tokens=24, stream=True)
            streamed = "".join(chunk.choices[0].delta.content or "" for chunk in pieces if chunk.choices)
            assert plain.choices[0].message.content == streamed
            assert plain.usage is not None
            assert 0 < plain.usage.completion_tokens <= 24
            with pytest.raises(openai.NotFoundError, match="There is no model nothing"):
                sdk.chat.completions.create(model="nothing", messages=[{"role": "user", "content": "x"}])

        checkpoints = client.get("/api/train/checkpoints", params={"runId": run_id}).json()["data"]
        older = ok(
            client.post(
                "/api/train/start",
                json=CAMEL | {"datasetId": dataset_id, "maxSteps": 30, "initCheckpoint": checkpoints[-1]["id"]},
            )
        )
        assert older["runId"] != run_id
        platform.wait(lambda: status(client, older["runId"])["phase"] == "succeeded", "the new job ends")
        resumed = [payload for _, kind, payload in platform.events(older["runId"]) if kind == "resumed"]
        assert resumed == [{"from_step": checkpoints[-1]["step"]}]

        error = refused(client.post(f"/api/jobs/{run_id}/resume"), 409)
        assert "is succeeded: resume is not possible" in error

    def test_a_stream_that_drops_a_hundred_times_misses_and_repeats_nothing(
        self, platform: Engine, account: Account, dataset_id: str
    ) -> None:
        """R-JOB-1, architecture 5: gap-free resume by Last-Event-ID."""
        run_id = ok(account.client.post("/api/train/start", json=CAMEL | {"datasetId": dataset_id, "maxSteps": 110}))[
            "runId"
        ]
        numbers: list[int] = []
        ended = False
        drops = 0
        while not ended:
            last = numbers[-1] if numbers else 0
            part = stream(account.client, run_id, after=last, until=lambda *_: True)
            numbers += [number for number, _, _ in part]
            ended = part[-1][1] in ("succeeded", "failed")
            drops += 1
        assert drops >= 100
        assert numbers == list(range(1, len(numbers) + 1))
        assert numbers == [seq for seq, _, _ in platform.events(run_id)]


@pytest.fixture(scope="module")
def model_id(platform: Engine, account: Account, dataset_id: str) -> str:
    """A model that was trained for a few steps, by the snake_case family."""
    body = CAMEL | {"datasetId": dataset_id, "maxSteps": 3}
    answer = account.client.post("/api/training/jobs", json=body)
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["data"]["id"]
    platform.wait_status(job_id, "succeeded")
    assert ok(account.client.get(f"/api/training/jobs/{job_id}"))["status"] == "succeeded"
    assert any(" succeeded " in line for line in ok(account.client.get(f"/api/training/jobs/{job_id}/logs")))
    return ok(account.client.get(f"/api/jobs/{job_id}"))["result"]["model_id"]


class TestTuning:
    def test_a_model_of_the_registry_is_tuned_further(
        self, account: Account, platform: Engine, model_id: str, dataset_id: str
    ) -> None:
        """R-TRAIN-3, R-MODEL-2: sft learns the answers; the new model knows which one it came from."""
        name = ok(account.client.get(f"/api/models/{model_id}"))["name"]
        body = CAMEL | {
            "datasetId": dataset_id,
            "maxSteps": 3,
            "modelName": model_id,
            "method": "sft",
            "vocabSize": None,
        }
        run_id = ok(account.client.post("/api/train/start", json=body))["runId"]
        assert platform.wait_status(run_id, "succeeded", "failed").status == "succeeded"
        tuned = ok(account.client.get(f"/api/models/{status(account.client, run_id)['modelId']}"))
        assert tuned["name"] == f"{name}-sft"
        version = tuned["versions"][0]
        base = ok(account.client.get(f"/api/models/{model_id}"))["versions"][0]["version_id"]
        assert (version["kind"], version["lineage"]["base_version_id"]) == ("tuned", base)

    def test_a_dataset_without_answers_is_refused_with_the_method_that_fits(
        self, account: Account, model_id: str
    ) -> None:
        """R-TRAIN-3: at once, with the reason."""
        plain = ok(upload(account, "plain.jsonl", '{"text": "متن ساده"}\n'.encode()))["id"]
        body = {"modelName": model_id, "datasetId": plain, "method": "sft"}
        error = refused(account.client.post("/api/train/start", json=body), 400)
        assert error.startswith("Method sft does not fit: the rows hold no answers. Use method pretrain.")


class TestEngine:
    def test_a_killed_engine_costs_only_the_requests_that_it_held(
        self, gateway: Gateway, account: Account, model_id: str
    ) -> None:
        """R-CHAT-3: the stream ends with a clear error, the next request works; threads of the child sleep."""
        body = {"model": model_id, "messages": [{"role": "user", "content": "پرسش"}], "temperature": 2, "seed": 1}
        account.client.post("/v1/chat/completions", json=body | {"max_tokens": 1}, timeout=60).raise_for_status()
        child = psutil.Process(engine_pid(gateway))
        assert child.environ()["OMP_WAIT_POLICY"] == "PASSIVE"
        assert child.environ()["GOMP_SPINCOUNT"] == "0"
        assert not [name for name in child.environ() if "SECRET" in name or "DATABASE" in name]
        begun = threading.Event()

        def last_event(seed: int) -> dict:
            asked, text = body | {"stream": True, "seed": seed}, ""
            with account.client.stream("POST", "/v1/chat/completions", json=asked, timeout=60) as answer:
                for piece in answer.iter_text():
                    begun.set()
                    text += piece
                if answer.status_code != 200:  # it had no word yet: an error answer, not a stream that ends with one
                    return json.loads(text)
            # At newlines alone: noise may hold what else counts as a line's end (U+2028).
            return [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: {")][-1]

        # Several, so that they are slow: one alone may have ended before the kill.
        with ThreadPoolExecutor(8) as threads:
            streams = [threads.submit(last_event, seed) for seed in range(8)]
            assert begun.wait(60)
            child.kill()
            ends = [stream.result() for stream in streams]
        errors = [end["error"] for end in ends if "error" in end]
        assert errors
        assert {error["code"] for error in errors} == {"engine_lost"}
        assert "send the request again" in errors[0]["message"]
        again = account.client.post("/v1/chat/completions", json=body | {"max_tokens": 2}, timeout=60)
        assert again.status_code == 200, again.text
        assert engine_pid(gateway) != child.pid

    def test_a_prompt_beyond_the_window_is_refused(self, account: Account, model_id: str) -> None:
        body = {"model": model_id, "messages": [{"role": "user", "content": "x" * 5000}]}
        answer = account.client.post("/v1/chat/completions", json=body, timeout=60)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "context_length_exceeded"


@pytest.fixture(scope="module")
def scraped(gateway: Gateway, platform: Engine, model_id: str) -> dict[str, str]:
    """What each process tells Prometheus, once all the tests above have kept it busy."""
    assert platform.num_workers() == 1
    assert model_id
    addresses = {
        "api": gateway.url,
        "inference": gateway.environment["SIMORGH_INFERENCE_URL"],
        **{name: f"http://127.0.0.1:{port}" for name, port in METRICS_PORTS.items()},
    }
    return {name: httpx.get(f"{address}/metrics", timeout=10).text for name, address in addresses.items()}


class TestMetrics:
    """R-OPS-5: what the processes that the tests above kept busy tell Prometheus. It comes last in this module."""

    def test_labels_are_few_and_series_stay_under_their_bounds(self, scraped: dict[str, str]) -> None:
        found = {name: list(unexpected(text)) for name, text in scraped.items()}
        assert found == {name: [] for name in scraped}
        counts = {name: len(samples(text)) for name, text in scraped.items()}
        assert {name: count for name, count in counts.items() if count > BOUNDS[name]} == {}

    def test_each_process_says_who_it_is(self, scraped: dict[str, str]) -> None:
        told = {
            labels["program"] for text in scraped.values() for name, labels, _ in samples(text) if "build_info" in name
        }
        assert told == {"api", "inference", "dispatcher", "trainer-worker"}

    @pytest.mark.parametrize(
        ("process", "metric", "labels"),
        [
            ("api", "simorgh_http_requests_total", {"route": "/api/train/start", "method": "POST", "status": "2xx"}),
            ("api", "simorgh_database_statement_seconds_count", {}),
            ("api", "simorgh_storage_seconds_count", {"operation": "PutObject"}),
            ("dispatcher", "simorgh_dispatcher_has_duty", {}),
            ("dispatcher", "simorgh_queue_slots", {"queue": "train.cpu"}),
            ("worker", "simorgh_attempts_total", {"queue": "train.cpu", "outcome": "succeeded"}),
            ("worker", "simorgh_attempts_total", {"queue": "train.cpu", "outcome": "left"}),
            ("worker", "simorgh_job_wait_seconds_count", {"queue": "train.cpu", "lane": "long"}),
            ("worker", "simorgh_training_steps_total", {}),
            ("worker", "simorgh_children_cpu_seconds_total", {}),
            ("inference", "simorgh_inference_generated_tokens_total", {}),
            ("inference", "simorgh_inference_request_seconds_count", {}),
            ("inference", "simorgh_inference_engine_losses_total", {}),
            ("inference", "simorgh_children_resident_memory_bytes", {}),
        ],
    )
    def test_what_was_done_is_counted(
        self, scraped: dict[str, str], process: str, metric: str, labels: dict[str, str]
    ) -> None:
        values = [
            value
            for name, have, value in samples(scraped[process])
            if name == metric and labels.items() <= have.items()
        ]
        assert values
        assert sum(values) > 0

    def test_a_run_that_has_ended_shows_no_figures(self, scraped: dict[str, str]) -> None:
        """Series of a run go with it: a worker shows as many after its thousandth as after its first."""
        assert not [name for name, labels, _ in samples(scraped["worker"]) if "place" in labels]


def loaded(gateway: Gateway) -> dict:
    environment = gateway.environment
    headers = {"x-simorgh-internal-key": environment["SIMORGH_INTERNAL_KEY"]}
    url = f"{environment['SIMORGH_INFERENCE_URL']}/internal/models"
    assert httpx.get(url, timeout=5).status_code == 401
    return httpx.get(url, headers=headers, timeout=5).json()["loaded"]


def engine_pid(gateway: Gateway) -> int:
    """The child of the model that was asked last."""
    return list(loaded(gateway).values())[-1]["pid"]


class TestRefusals:
    """R-DATA-1, R-DATA-3, R-TRAIN-2, R-AUTH-4: each answer says what, where and what to do."""

    def test_wrong_type(self, account: Account) -> None:
        assert "Files of type .png are not taken" in refused(upload(account, "a.png", b"x"), 415)

    def test_one_byte_over_the_limit(self, account: Account) -> None:
        line = b'{"text": "' + b"x" * 989 + b'"}\n'  # 1,002 bytes
        whole = line * 99 + b'{"text": "' + b"y" * (100_000 - 99 * len(line) - 13) + b'"}\n'
        assert len(whole) == 100_000
        assert ok(upload(account, "a.jsonl", whole))["bytes"] == 100_000
        assert "larger than the limit of 100000 bytes" in refused(upload(account, "a.jsonl", whole + b"\n"), 413)

    def test_empty(self, account: Account) -> None:
        assert "The file holds no rows" in refused(upload(account, "a.jsonl", b""), 400)

    def test_not_utf8(self, account: Account) -> None:
        assert "not UTF-8 text: byte 11, in line 2" in refused(upload(account, "a.jsonl", b'{"text":1}\n\xff\n'), 400)

    def test_bad_line_seven(self, account: Account) -> None:
        bad = rows(6) + b"{oops\n" + rows(2)
        answer = upload(account, "a.jsonl", bad)
        assert "Line 7: this is not one JSON object" in refused(answer, 400)
        assert (answer.json()["total_lines"], answer.json()["valid_lines"]) == (9, 8)
        assert ok(upload(account, "b.jsonl", bad, on_error="skip"))["rows"] == 8

    def test_missing_answer(self, account: Account) -> None:
        bad = rows(1) + '{"question": "چرا؟"}\n'.encode()
        assert "Line 2: the field answer is missing." in refused(upload(account, "a.jsonl", bad), 400)

    def test_nothing_is_kept_of_what_was_refused(self, account: Account, platform: Engine) -> None:
        before = platform.store.client.list_objects_v2(Bucket=platform.bucket.name).get("KeyCount", 0)
        refused(upload(account, "never.jsonl", rows(3) + b"{oops\n"), 400)
        assert platform.store.client.list_objects_v2(Bucket=platform.bucket.name).get("KeyCount", 0) == before
        assert "never.jsonl" not in account.client.get("/api/datasets/list").text

    @pytest.mark.parametrize(
        ("change", "status", "says"),
        [
            ({"learnRate": 1}, 422, "Unknown parameter learnRate. Known parameters: modelName, datasetId"),
            ({"learningRate": -1}, 422, "greater than 0"),
            ({"modelName": "gpt-9", "vocabSize": None}, 404, "There is no model gpt-9 in this project, and no preset"),
            ({"modelName": "model_x"}, 422, "vocab_size: model_x brings its own tokenizer"),
            ({"method": "sft"}, 422, "method sft tunes a trained model, and simorgh-2m is a preset"),
            ({"datasetId": "ds_none"}, 404, "There is no dataset ds_none in this project"),
            ({"numGpus": 4}, 422, "more than one GPU is not available yet"),
        ],
    )
    def test_a_run_that_cannot_be(
        self, account: Account, dataset_id: str, change: dict, status: int, says: str
    ) -> None:
        answer = account.client.post("/api/train/start", json=CAMEL | {"datasetId": dataset_id} | change)
        assert says in refused(answer, status)

    def test_another_projects_job_and_dataset_do_not_exist(
        self, account: Account, sign_up: Callable[[], Account], dataset_id: str, platform: Engine
    ) -> None:
        other = sign_up().client
        run_id = ok(account.client.post("/api/train/start", json=CAMEL | {"datasetId": dataset_id}))["runId"]
        assert "There is no job" in refused(other.get(f"/api/jobs/{run_id}"), 404)
        assert "There is no job" in refused(other.post(f"/api/jobs/{run_id}/cancel"), 404)
        assert "There is no dataset" in refused(other.get(f"/api/datasets/{dataset_id}"), 404)
        assert "Cancel or stop it" in refused(account.client.delete(f"/api/jobs/{run_id}"), 409)
        ok(account.client.post(f"/api/jobs/{run_id}/cancel"))
        platform.wait(lambda: platform.job(run_id).status == "cancelled", "it is cancelled")
        ok(account.client.delete(f"/api/jobs/{run_id}"))
        refused(account.client.get(f"/api/jobs/{run_id}"), 404)


class TestIdempotency:
    def test_a_repeated_key_starts_one_job(self, account: Account, dataset_id: str, platform: Engine) -> None:
        """R-TRAIN-14."""
        body = CAMEL | {"datasetId": dataset_id, "maxSteps": 1}
        headers = {"idempotency-key": "once"}
        first = ok(account.client.post("/api/train/start", json=body, headers=headers))["runId"]
        assert ok(account.client.post("/api/train/start", json=body, headers=headers))["runId"] == first
        other = account.client.post("/api/train/start", json=body | {"seed": 1}, headers=headers)
        assert "used before with another body" in refused(other, 409)
        assert other.headers["x-should-retry"] == "false"
        platform.wait_status(first, "succeeded")

    def test_the_retry_of_a_stock_client_starts_no_second_job(self, account: Account, dataset_id: str) -> None:
        """R-TRAIN-14: SDKs say which try it is."""
        body = CAMEL | {"datasetId": dataset_id, "maxSteps": 1, "name": "retried"}
        tries = [
            ok(account.client.post("/api/train/start", json=body, headers={"x-stainless-retry-count": str(number)}))
            for number in range(3)
        ]
        assert len({run["runId"] for run in tries}) == 1
        again = ok(account.client.post("/api/train/start", json=body))
        assert again["runId"] != tries[0]["runId"]


class TestLists:
    def test_pages_hold_every_run_once_and_a_strange_cursor_is_refused(self, account: Account) -> None:
        """R-API-3: cursors are opaque, and another list's is refused."""
        whole = account.client.get("/api/train/runs", params={"limit": 200}).json()["data"]
        paged: list[str] = []
        cursor: str | None = None
        while True:
            params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            part = account.client.get("/api/train/runs", params=params).json()
            paged += [run["runId"] for run in part["data"]]
            cursor = part["next_cursor"]
            if cursor is None:
                break
            assert "job_" not in cursor
        assert paged == [run["runId"] for run in whole]
        assert "not one that this list gave" in refused(account.client.get("/api/jobs?cursor=bm9uc2Vuc2U"), 400)

    def test_jobs_are_found_by_what_is_asked_of_them(self, account: Account, dataset_id: str) -> None:
        """R-JOB-1: filters by type, status, tag, text and experiment."""
        body = CAMEL | {
            "datasetId": dataset_id,
            "maxSteps": 1,
            "name": "یکتا",
            "tags": ["برچسب"],
            "experiment": "exp_1",
        }
        run_id = ok(account.client.post("/api/train/start", json=body))["runId"]
        for filters in ({"tag": "برچسب"}, {"text": "یکت"}, {"experiment": "exp_1"}, {"text": run_id, "type": "train"}):
            assert [job["id"] for job in ok(account.client.get("/api/jobs", params=filters))] == [run_id]
        assert ok(account.client.get("/api/jobs", params={"tag": "برچسب", "type": "probe"})) == []
        assert "status" in refused(account.client.get("/api/jobs?status=dancing"), 422)


def status(client: httpx.Client, run_id: str) -> dict:
    return ok(client.get("/api/train/status", params={"runId": run_id}))


def stream(
    client: httpx.Client, run_id: str, until: Callable[[str, dict], bool], after: int = 0
) -> list[tuple[int, str, dict]]:
    """Read the run's stream until an event that is wanted, or its end, then drop it."""
    found: list[tuple[int, str, dict]] = []
    headers = {"last-event-id": str(after)}
    with client.stream("GET", "/api/train/stream", params={"runId": run_id}, headers=headers, timeout=90) as answer:
        event: dict[str, str] = {}
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
            elif "id" in event:
                found.append((int(event["id"]), event["event"], json.loads(event["data"])))
                event = {}
                if until(found[-1][1], found[-1][2]):
                    break
    return found
