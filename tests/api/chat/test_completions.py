"""/v1/completions through the gateway, by OpenAI's own client (R-CHAT-1)."""

from collections.abc import Callable

import openai
import pytest

from tests.api.chat.world import World
from tests.support.gateway import Account

SHORT = {"temperature": 0, "max_tokens": 12}


def test_plain_and_streamed(world: World, account: Account) -> None:
    """R-CHAT-1: under the name that was asked for."""
    with openai.OpenAI(base_url=f"{world.gateway.url}/v1", api_key=account.access_token, max_retries=0) as client:
        plain = client.completions.create(model="noise", prompt="سلام", temperature=0, max_tokens=12)
        chunks = list(
            client.completions.create(model="noise", prompt="سلام", temperature=0, max_tokens=12, stream=True)
        )
        assert plain.model == "noise"
        assert plain.choices[0].text
        assert "".join(chunk.choices[0].text for chunk in chunks) == plain.choices[0].text
        with pytest.raises(openai.BadRequestError, match="echo") as refused:
            client.completions.create(model="noise", prompt="سلام", echo=True)
        assert refused.value.param == "echo"


def test_another_project_has_no_such_model(world: World, account: Account, sign_up: Callable[[], Account]) -> None:
    """R-AUTH-4."""
    body = {"model": "noise", "prompt": "سلام", **SHORT}
    assert account.client.post("/v1/completions", json=body).status_code == 200
    answer = sign_up().client.post("/v1/completions", json=body)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
