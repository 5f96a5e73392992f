"""What operators see: models, readiness, metrics, ids and logs, and errors in one shape."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.inference import LONG, InferenceServer, answer, ask, refusal
from tests.support.stack import Bucket, Database

KEY = "a key for the gateway"
HEADERS = {"x-simorgh-internal-key": KEY}
SECRET_WORDS = "these words are nobody else's"


@pytest.fixture(scope="module")
def server(serve: Callable[..., InferenceServer], model_folder: Path) -> InferenceServer:
    return serve("--model-dir", str(model_folder))


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def registry_variables(database_url: str, bucket: Bucket, tmp_path: Path, **other: str) -> dict[str, str]:
    cache = str(tmp_path / "cache")
    return {"SIMORGH_DATABASE_URL": database_url, "SIMORGH_CACHE_DIR": cache, **bucket.environment(), **other}


def at_port(url: str, port: int) -> str:
    """A database's address, moved to another port."""
    head, _, tail = url.rpartition(":")
    return f"{head}:{port}/{tail.partition('/')[2]}"


def figures(server: InferenceServer, headers: dict[str, str] | None = None) -> dict[str, float]:
    """The server's own metrics as `name{label}`."""
    given = httpx.get(f"{server.url}/metrics", headers=headers, timeout=10)
    assert given.status_code == 200
    return {
        sample.name.removeprefix("simorgh_inference_")
        + "".join(f"{{{label}}}" for label in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(given.text)
        for sample in family.samples
        if sample.name.startswith("simorgh_inference_") and not sample.name.endswith("_created")
    }


def line_of(server: InferenceServer, request_id: str) -> dict[str, Any]:
    """The one line about a request; it is written when the answer is through."""

    def lines() -> list[dict[str, Any]]:
        return [line for line in server.logged("request") if line["request_id"] == request_id]

    server.wait(lines, "the line is written")
    (line,) = lines()
    return line


class TestModels:
    def test_the_folder_is_listed_by_its_name(self, server: InferenceServer) -> None:
        """R-CHAT-1: by the stock client, loaded or not, and whatever name was asked for."""
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as sdk:
            assert [model.id for model in sdk.models.list()] == ["noise"]
            assert answer(server, model="another name") == answer(server)
            listed = sdk.models.list().data
        assert [(model.id, model.object, model.owned_by) for model in listed] == [("noise", "model", "simorgh")]
        assert 0 < listed[0].created <= time.time()
        assert list(server.loaded()) == ["noise"]


class TestReadiness:
    def test_a_folder_without_a_model(self, serve: Callable[..., InferenceServer], tmp_path: Path) -> None:
        """R-OPS-4."""
        server = serve("--model-dir", str(tmp_path), until="/livez")
        given = httpx.get(f"{server.url}/readyz")
        assert (given.status_code, given.json()["data"]["parts"]) == (
            503,
            {"folder": "holds no config.json or adapter_config.json"},
        )
        assert httpx.get(f"{server.url}/v1/models").json()["data"] == []
        (tmp_path / "config.json").write_text("{}")
        assert httpx.get(f"{server.url}/readyz").json()["data"] == {"status": "ok", "parts": {"folder": "ok"}}

    def test_parts_that_answer(
        self, serve: Callable[..., InferenceServer], database: Database, bucket: Bucket, tmp_path: Path
    ) -> None:
        """R-OPS-4."""
        server = serve(**registry_variables(database.url, bucket, tmp_path))
        given = httpx.get(f"{server.url}/readyz")
        assert given.json()["data"] == {"status": "ok", "parts": {"database": "ok", "storage": "ok"}}

    def test_parts_that_hang(
        self,
        serve: Callable[..., InferenceServer],
        database: Database,
        bucket: Bucket,
        tmp_path: Path,
        silent_port: int,
    ) -> None:
        """R-OPS-4: bounded, however often it is asked; the loop goes on meanwhile, and the process ends when told."""
        variables = registry_variables(at_port(database.url, silent_port), bucket, tmp_path)
        variables["SIMORGH_S3_ENDPOINT_URL"] = f"http://127.0.0.1:{silent_port}"
        server = serve(**variables, until="/livez")
        with ThreadPoolExecutor(12) as threads:
            began = time.monotonic()
            asked = [threads.submit(httpx.get, f"{server.url}/readyz", timeout=20) for _ in range(12)]
            quick = time.monotonic()
            assert httpx.get(f"{server.url}/livez").status_code == 200
            assert httpx.get(f"{server.url}/health").status_code == 200
            assert time.monotonic() - quick < 3, "a blocked loop would be 4 s"
            given = [one.result() for one in asked]
            assert time.monotonic() - began < 15, "twelve in a row would be 48 s"
        assert {one.status_code for one in given} == {503}
        assert set(given[0].json()["data"]["parts"].values()) <= {"no answer in time", "does not answer"}
        server.process.terminate()
        assert server.process.wait(8) is not None


class TestMetrics:
    def test_they_count_what_happened(self, serve: Callable[..., InferenceServer], model_folder: Path) -> None:
        """R-OPS-5: requests by outcome, tokens, first tokens, engines."""
        server = serve("--model-dir", str(model_folder), SIMORGH_INTERNAL_KEY=KEY)
        assert set(figures(server).values()) == {0.0}, "all series are there from the start"
        with ThreadPoolExecutor(1) as threads:
            asked = threads.submit(ask, server, HEADERS, max_tokens=5)
            server.wait(lambda: figures(server)["requests_waiting"] == 1, "it waits for its model")
            assert asked.result().status_code == 200
        assert ask(server, HEADERS, n=0).status_code == 400
        assert ask(server, HEADERS, messages=[{"role": "user", "content": "z" * 3000}]).status_code == 400
        assert ask(server, HEADERS, **LONG).status_code == 200
        url, body = f"{server.url}/v1/chat/completions", LONG | {"stream": True}
        with httpx.stream("POST", url, json=body, headers=HEADERS, timeout=60) as stream:
            lines = stream.iter_lines()
            next(lines)
            held = figures(server)
            assert (held["requests_held"], held["engines_loaded"]) == (1, 1)
            loaded = httpx.get(f"{server.url}/internal/models", headers=HEADERS).json()["loaded"]
            os.kill(loaded["noise"]["pid"], signal.SIGKILL)
            assert "engine_lost" in list(lines)[-2]
        server.wait(lambda: figures(server)["requests_total{lost}"] == 1, "the loss is counted")
        told = figures(server)
        assert told["requests_total{length}"] == 2
        assert told["requests_total{refused}"] == 2
        assert told["generated_tokens_total"] > 5 + LONG["max_tokens"]
        assert told["first_token_seconds_count"] == 3
        assert (told["engine_starts_total{ready}"], told["engine_losses_total"]) == (1, 1)
        assert (told["requests_held"], told["requests_waiting"], told["engines_loaded"]) == (0, 0, 0)

    def test_a_client_that_leaves_is_counted(self, server: InferenceServer) -> None:
        """R-OPS-5."""
        before = figures(server)["requests_total{left}"]
        url = f"{server.url}/v1/chat/completions"
        with httpx.stream("POST", url, json=LONG | {"stream": True}, timeout=60) as left:
            next(left.iter_lines())
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json=LONG, timeout=0.3)
        server.wait(lambda: figures(server)["requests_total{left}"] == before + 2, "both are counted")

    def test_labels_are_few_whatever_clients_send(self, server: InferenceServer) -> None:
        """R-OPS-5: no model's name, id or path becomes a label."""
        names = set(figures(server))
        for at in range(20):
            ask(server, {"x-request-id": f"id-{at}"}, model=f"model-{at}", max_tokens=1)
            httpx.get(f"{server.url}/v1/{at}")
        assert set(figures(server)) == names


class TestErrors:
    def test_a_path_and_a_method_that_there_are_not(self, server: InferenceServer) -> None:
        """R-API-3."""
        assert "/v1/nothing" in refusal(httpx.post(f"{server.url}/v1/nothing"), 404, "not_found_route")
        given = httpx.get(f"{server.url}/v1/chat/completions")
        assert "GET" in refusal(given, 405, "method_not_allowed")
        assert given.headers["allow"] == "POST"

    def test_what_nobody_expected(
        self, serve: Callable[..., InferenceServer], fresh_database: Database, bucket: Bucket, tmp_path: Path
    ) -> None:
        """R-API-3: here a table that is not there. It is logged with the id and not told."""
        with psycopg.connect(fresh_database.owner_url.replace("+psycopg", "")) as connection:
            connection.execute("ALTER TABLE model_versions RENAME TO hidden")
        server = serve(**registry_variables(fresh_database.url, bucket, tmp_path))
        given = ask(server, {"x-request-id": "id-500"})
        assert "id-500" in refusal(given, 500, "internal_error")
        assert given.headers["x-request-id"] == "id-500"
        assert "model_versions" not in given.text
        assert [line["request_id"] for line in server.logged("request_crashed")] == ["id-500"]
        assert figures(server)["requests_total{failed}"] == 1


class TestRequestIds:
    def test_an_id_is_passed_on_and_logged(self, server: InferenceServer) -> None:
        """R-API-3, R-OPS-6: one line for a request, plain or streamed, without what was said."""
        said = [{"role": "user", "content": SECRET_WORDS}]
        for request_id, stream in (("plain-1:a.b_c", False), ("stream-1", True)):
            given = ask(server, {"x-request-id": request_id}, messages=said, stream=stream)
            assert given.headers["x-request-id"] == request_id
            line = line_of(server, request_id)
            assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/chat/completions", 200)
            assert line["duration_ms"] > 0
        assert SECRET_WORDS not in server.log.read_text()

    @pytest.mark.parametrize("given", [None, "", "a b", "x" * 101, "a\tb", "{}"])
    def test_without_a_sane_one_it_gets_one(self, server: InferenceServer, given: str | None) -> None:
        """R-API-3: refusals too."""
        answered = ask(server, {} if given is None else {"x-request-id": given}, n=0)
        made = answered.headers["x-request-id"]
        assert made.startswith("req_")
        assert line_of(server, made)["status"] == 400

    def test_probes_write_no_lines(self, server: InferenceServer) -> None:
        count = len(server.logged("request"))
        for path in ("/livez", "/health", "/readyz", "/metrics"):
            assert httpx.get(f"{server.url}{path}").headers["x-request-id"]
        assert len(server.logged("request")) == count

    def test_a_wrong_key_gets_an_id_too(self, serve: Callable[..., InferenceServer], model_folder: Path) -> None:
        guarded = serve("--model-dir", str(model_folder), SIMORGH_INTERNAL_KEY=KEY)
        given = ask(guarded, {"x-request-id": "id-401"})
        refusal(given, 401, "internal_key_wrong")
        assert given.headers["x-request-id"] == "id-401"
        for path in ("/livez", "/health", "/readyz", "/metrics"):
            assert httpx.get(f"{guarded.url}{path}").status_code == 200
        refusal(httpx.get(f"{guarded.url}/v1/models"), 401, "internal_key_wrong")
