"""OpenAI's own client over every parameter of the routes that models answer, through the gateway (R-CHAT-1).

Each parameter is either taken, and then its behaviour is tried, or refused by its name. What schemathesis makes of the
description comes last.
"""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase as ChatParams
from openai.types.completion_create_params import CompletionCreateParamsBase as CompletionParams
from openai.types.embedding_create_params import EmbeddingCreateParams as EmbeddingParams
from schemathesis import GenerationMode

from tests.api.chat.world import World
from tests.inference.test_requests import REFUSED as CHAT_REFUSED
from tests.support.any_request import CHATTING, KEEPING, VOICE, operations, send_any
from tests.support.gateway import Account

ASKED: dict[str, Any] = {
    "model": "noise",
    "messages": [{"role": "user", "content": "حال شما چطور است؟"}],
    "temperature": 0,
    "max_tokens": 12,
}
PLAIN: dict[str, Any] = {"model": "noise", "prompt": "می‌روم", "temperature": 0, "max_tokens": 12}
CHAT_TAKEN = {
    "model", "messages", "temperature", "max_tokens", "max_completion_tokens", "top_p", "seed", "stop", "n", "logprobs",
    "top_logprobs", "stream_options",
}  # fmt: skip
CHAT_WITHOUT_SAY = {
    "user", "metadata", "parallel_tool_calls", "prediction", "prompt_cache_key", "prompt_cache_options",
    "prompt_cache_retention", "safety_identifier",
}  # fmt: skip
PLAIN_TAKEN = {
    "model", "prompt", "temperature", "max_tokens", "top_p", "seed", "stop", "n", "best_of", "logprobs",
    "stream_options", "user",
}  # fmt: skip
PLAIN_REFUSED: dict[str, Any] = {
    "echo": True, "suffix": "x", "frequency_penalty": 1, "presence_penalty": 1, "logit_bias": {"1": 5},
}  # fmt: skip
EMBEDDING_TAKEN = {"model", "input", "encoding_format", "user"}


@pytest.fixture(scope="module")
def client(world: World, account: Account) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{world.gateway.url}/v1", api_key=account.access_token, max_retries=0) as made:
        yield made


def text_of(client: openai.OpenAI, **fields: Any) -> str:
    """What a chat is answered with."""
    return client.chat.completions.create(**ASKED | fields).choices[0].message.content


def test_every_parameter_of_the_client_is_tried() -> None:
    """R-CHAT-1: a new version of the client may bring more."""
    assert set(ChatParams.__annotations__) == CHAT_TAKEN | CHAT_WITHOUT_SAY | set(CHAT_REFUSED)
    assert set(CompletionParams.__annotations__) == PLAIN_TAKEN | set(PLAIN_REFUSED)
    assert set(EmbeddingParams.__annotations__) == EMBEDDING_TAKEN | {"dimensions"}


class TestChat:
    def test_limits_and_stops(self, client: openai.OpenAI) -> None:
        """R-CHAT-1: both names of the limit; the newer one counts where both are sent."""
        whole = client.chat.completions.create(**ASKED)
        assert (whole.choices[0].finish_reason, whole.usage.completion_tokens) == ("length", 12)
        short = client.chat.completions.create(**ASKED, max_completion_tokens=3)
        assert short.usage.completion_tokens == 3
        text = whole.choices[0].message.content
        assert text_of(client, stop=[text[3:5], "never"]) == text[: text.index(text[3:5])]

    def test_what_is_drawn(self, client: openai.OpenAI) -> None:
        """R-CHAT-1: temperature, top_p, seed and n."""
        greedy = text_of(client)
        assert text_of(client, temperature=2, top_p=1e-9) == greedy
        drawn = {"temperature": 1.5, "seed": 3}
        assert text_of(client, **drawn) == text_of(client, **drawn) != greedy
        several = client.chat.completions.create(**ASKED | drawn, n=3)
        texts = [choice.message.content for choice in several.choices]
        assert texts[0] == text_of(client, **drawn)
        assert len(set(texts)) == 3

    def test_how_likely_it_was(self, client: openai.OpenAI) -> None:
        """R-CHAT-1: logprobs and top_logprobs, and none unasked."""
        given = client.chat.completions.create(**ASKED, logprobs=True, top_logprobs=2).choices[0]
        assert b"".join(bytes(one.bytes) for one in given.logprobs.content).decode(errors="replace") == (
            given.message.content
        )
        assert all(len(one.top_logprobs) == 2 and one.logprob <= 0 for one in given.logprobs.content)
        assert client.chat.completions.create(**ASKED).choices[0].logprobs is None

    def test_a_stream_with_its_usage(self, client: openai.OpenAI) -> None:
        """R-CHAT-1: two choices, told apart by their numbers."""
        asked = ASKED | {"temperature": 1, "seed": 4, "n": 2, "logprobs": True}
        whole = client.chat.completions.create(**asked)
        *chunks, last = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
        said, num_scored = ["", ""], 0
        for chunk in chunks:
            (choice,) = chunk.choices
            said[choice.index] += choice.delta.content or ""
            num_scored += len(choice.logprobs.content) if choice.logprobs else 0
        assert said == [choice.message.content for choice in whole.choices]
        assert num_scored == sum(len(choice.logprobs.content) for choice in whole.choices)
        assert last.usage == whole.usage

    def test_roles_are_told_apart(self, client: openai.OpenAI) -> None:
        turns = [{"role": role, "content": "سلام"} for role in ("system", "user", "assistant", "user")]
        assert text_of(client, messages=turns) != text_of(client, messages=turns[1:])
        assert text_of(client, messages=[turns[0] | {"role": "developer"}, *turns[1:]]) == text_of(
            client, messages=turns
        )

    @pytest.mark.parametrize("name", CHAT_REFUSED)
    def test_the_rest_is_refused_by_its_name(self, client: openai.OpenAI, name: str) -> None:
        with pytest.raises(openai.BadRequestError, match="is not supported") as refused:
            client.chat.completions.create(**ASKED, **{name: CHAT_REFUSED[name]})
        assert (refused.value.param, refused.value.code) == (name, "invalid_parameter")


class TestCompletions:
    def test_every_parameter_that_is_taken(self, client: openai.OpenAI) -> None:
        """R-CHAT-1."""
        whole = client.completions.create(**PLAIN, user="someone")
        text = whole.choices[0].text
        assert whole.model == "noise"  # the name that was asked for
        assert (whole.choices[0].finish_reason, whole.usage.completion_tokens) == ("length", 12)
        stopped = client.completions.create(**PLAIN, stop=text[3:5]).choices[0]
        assert (stopped.finish_reason, stopped.text) == ("stop", text[: text.index(text[3:5])])
        drawn = PLAIN | {"temperature": 1.5, "top_p": 0.9, "seed": 3, "n": 2, "best_of": 2, "logprobs": 1}
        given = client.completions.create(**drawn)
        assert given.choices[0].text != given.choices[1].text
        assert [choice.text for choice in client.completions.create(**drawn).choices] == [
            choice.text for choice in given.choices
        ]
        for choice in given.choices:
            assert len(choice.logprobs.tokens) == len(choice.logprobs.token_logprobs) > 0
            assert set(choice.logprobs.top_logprobs[0]) >= {choice.logprobs.tokens[0]}
        *chunks, last = client.completions.create(**drawn, stream=True, stream_options={"include_usage": True})
        said = ["", ""]
        for chunk in chunks:
            said[chunk.choices[0].index] += chunk.choices[0].text
        assert said == [choice.text for choice in given.choices]
        assert last.usage == given.usage

    @pytest.mark.parametrize("name", PLAIN_REFUSED)
    def test_the_rest_is_refused_by_its_name(self, client: openai.OpenAI, name: str) -> None:
        with pytest.raises(openai.BadRequestError, match="is not supported") as refused:
            client.completions.create(**PLAIN, **{name: PLAIN_REFUSED[name]})
        assert refused.value.param == name


class TestEmbeddings:
    def test_every_parameter_that_is_taken(self, client: openai.OpenAI) -> None:
        """R-CHAT-1: under the name that was asked for; the client itself asks for base64."""
        given = client.embeddings.create(model="noise", input=["سلام", "bird"], user="someone")
        assert given.model == "noise"
        assert [len(one.embedding) for one in given.data] == [32, 32]
        assert sum(value * value for value in given.data[0].embedding) == pytest.approx(1)
        floats = client.embeddings.create(model="noise", input="bird", encoding_format="float").data[0].embedding
        assert floats == pytest.approx(given.data[1].embedding, abs=1e-5)
        assert isinstance(
            client.embeddings.create(model="noise", input=[5, 6], encoding_format="base64").data[0].embedding, str
        )

    def test_dimensions_are_refused(self, client: openai.OpenAI) -> None:
        with pytest.raises(openai.BadRequestError, match="is not supported") as refused:
            client.embeddings.create(model="noise", input="سلام", dimensions=4)
        assert refused.value.param == "dimensions"


class TestModels:
    def test_they_are_listed_and_found(self, client: openai.OpenAI) -> None:
        """R-CHAT-1: by the name that the other routes take."""
        (listed,) = client.models.list().data
        assert client.models.retrieve(listed.id).id == listed.id
        assert client.models.retrieve("noise").id == "noise"  # under the name that was asked for
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("nobody")
        with pytest.raises(openai.APIStatusError) as refused:
            client.models.delete("noise")
        assert refused.value.status_code == 405


class TestIsolation:
    @pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"])
    def test_another_project_has_no_such_model(self, path: str, world: World, sign_up: Any) -> None:
        """R-AUTH-4."""
        bodies = {"/v1/chat/completions": ASKED, "/v1/completions": PLAIN}
        answer = sign_up().client.post(path, json=bodies.get(path, {"model": "noise", "input": "a"}))
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


class TestAnyRequest:
    def test_every_route_is_tried(self) -> None:
        """R-API-3: here, among those of batches and among those of voice."""
        assert set(operations(*CHATTING, *KEEPING, *VOICE)) == set(operations("/v1"))

    @pytest.mark.parametrize(("operation", "mode"), operations(*CHATTING))
    def test_none_is_a_fault_of_the_server(self, account: Account, operation: str, mode: GenerationMode) -> None:
        """R-API-3: good requests and bad ones, of schemathesis's making."""
        statuses = send_any(account, operation, mode, {"model": "noise"}, short)
        assert 429 not in statuses
        assert mode is GenerationMode.NEGATIVE or 200 in statuses


def short(body: dict[str, Any]) -> None:
    """Ask for few tokens, unless the limit is one that is refused."""
    for name in {"max_tokens", "max_completion_tokens"} & body.keys() | (
        {"max_tokens"} if "input" not in body else set()
    ):
        limit = body.get(name)
        body[name] = limit if isinstance(limit, int) and limit < 3 else 3
