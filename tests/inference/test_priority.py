"""Requests of batches stand behind those of people (R-CHAT-6)."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.inference import LONG, InferenceServer, ask, refusal

BATCH = {"x-simorgh-priority": "batch"}


@pytest.fixture(scope="module")
def server(serve: Callable[..., InferenceServer], model_folder: Path) -> InferenceServer:
    return serve("--model-dir", str(model_folder))


def test_while_people_wait_one_of_them_goes_on(server: InferenceServer) -> None:
    """R-CHAT-6: the next one is told to come again; people are never."""
    chat = f"{server.url}/v1/chat/completions"
    body = {**LONG, "stream": True}
    with (
        httpx.stream("POST", chat, json=body, headers=BATCH, timeout=60) as first,
        httpx.stream("POST", chat, json=body, headers=BATCH, timeout=60) as second,
    ):
        assert (first.status_code, second.status_code) == (200, 200)
        with httpx.stream("POST", chat, json=body, timeout=60) as person:
            assert person.status_code == 200
            busy = ask(server, headers=BATCH, max_tokens=1)
            assert "Try again in 1 s" in refusal(busy, 429, "engine_busy")
            assert busy.headers["retry-after"] == "1"
            assert ask(server, max_tokens=1).status_code == 200
        server.wait(lambda: ask(server, headers=BATCH, max_tokens=1).status_code == 200, "nobody waits any more")


def test_an_unknown_priority(server: InferenceServer) -> None:
    """R-CHAT-6."""
    assert "only batch is known" in refusal(ask(server, {"x-simorgh-priority": "high"}), 400, "invalid_parameter")
