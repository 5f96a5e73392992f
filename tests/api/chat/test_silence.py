"""No inference server where the gateway looks for one: each surface says so in its own shape."""

from collections.abc import Callable

import pytest

from tests.api.chat.world import World, ok, refused, say
from tests.support.gateway import Account


@pytest.fixture(scope="module")
def account(silent_world: World, sign_up: Callable[[], Account]) -> Account:
    made = sign_up()
    silent_world.add_model(made.project_id)
    return made


class TestSilence:
    @pytest.mark.parametrize("stream", [False, True])
    def test_chat_says_when_to_try_again(self, account: Account, stream: bool) -> None:
        """R-CHAT-2, R-API-3: 503 with Retry-After as problem+json; no conversation is left behind."""
        answer = say(account, "سلام", stream=stream)
        sentence = refused(answer, 503, "inference_unavailable")
        assert sentence == "The inference server does not answer. Try again in 5 s."
        assert answer.headers["retry-after"] == "5"
        assert ok(account.client.get("/api/chat/conversations")) == []

    @pytest.mark.parametrize("stream", [False, True])
    def test_completions_say_it_in_openais_shape(self, account: Account, stream: bool) -> None:
        """R-CHAT-1, R-API-3."""
        body = {"model": "noise", "messages": [{"role": "user", "content": "x"}], "stream": stream}
        answer = account.client.post("/v1/chat/completions", json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["error"] == {
            "message": "The inference server does not answer. Try again in 5 s.",
            "type": "server_error",
            "param": None,
            "code": "inference_unavailable",
        }
