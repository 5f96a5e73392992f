"""A request ends when its time is over, and gives its place back (R-CHAT-3)."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.support.inference import LONG, InferenceServer, answer, ask, refusal


def test_an_answer_that_takes_too_long(serve: Callable[..., InferenceServer], model_folder: Path) -> None:
    """R-CHAT-3: while its model is loaded, while it is made, and in the middle of a stream."""
    server = serve("--model-dir", str(model_folder), SIMORGH_REQUEST_TIMEOUT_S="0.3")
    loading = ask(server, max_tokens=1)
    assert "0.3 s" in refusal(loading, 504, "request_expired")
    assert loading.json()["error"]["type"] == "server_error"
    assert loading.headers["x-should-retry"] == "false"  # SDKs would ask for the same again, twice
    server.wait(server.loaded, "nobody's request undoes the loading", within_s=30)

    refusal(httpx.post(f"{server.url}/v1/chat/completions", json=LONG, timeout=60), 504, "request_expired")
    for path, body in (
        ("chat/completions", LONG),
        ("completions", {"model": "noise", "prompt": "a", "max_tokens": 1500}),
    ):
        told = httpx.post(f"{server.url}/v1/{path}", json=body | {"stream": True, "temperature": 0}, timeout=60)
        last = told.text.strip().splitlines()[-1]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "request_expired"
    server.wait(server.is_idle, "no slot is held")
    assert 'requests_total{outcome="expired"} 4.0' in httpx.get(f"{server.url}/metrics").text
    assert answer(server, max_tokens=1)
