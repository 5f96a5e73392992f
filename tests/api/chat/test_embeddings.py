"""/v1/embeddings through the gateway, by OpenAI's own client (R-CHAT-1)."""

from collections.abc import Callable

import openai
import pytest

from tests.api.chat.world import World
from tests.support.gateway import Account


def test_the_stock_client_has_vectors(world: World, account: Account) -> None:
    """R-CHAT-1: under the name that was asked for."""
    with openai.OpenAI(base_url=f"{world.gateway.url}/v1", api_key=account.access_token, max_retries=0) as client:
        given = client.embeddings.create(model="noise", input=["سلام", "bird"])
        assert given.model == "noise"
        assert [len(one.embedding) for one in given.data] == [32, 32]
        assert sum(value * value for value in given.data[0].embedding) == pytest.approx(1)
        with pytest.raises(openai.BadRequestError, match="dimensions") as refused:
            client.embeddings.create(model="noise", input="سلام", dimensions=4)
        assert refused.value.param == "dimensions"


def test_another_project_has_no_such_model(world: World, account: Account, sign_up: Callable[[], Account]) -> None:
    """R-AUTH-4."""
    body = {"model": "noise", "input": "سلام"}
    assert account.client.post("/v1/embeddings", json=body).status_code == 200
    assert sign_up().client.post("/v1/embeddings", json=body).status_code == 404
