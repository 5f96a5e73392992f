"""Requests as stock OpenAI clients send them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionAssistantMessageParam, ChatCompletionStreamOptionsParam
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from pydantic import ValidationError

from simorgh_inference.schema import ChatRequest
from tests.support.inference import QUESTION, InferenceServer, answer, ask, refusal

JSON = {"content-type": "application/json"}
LEAST: dict[str, Any] = {"model": "noise", "messages": QUESTION}
NEUTRAL: dict[str, Any] = {
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "frequency_penalty": 0,
    "presence_penalty": 0.0,
    "logit_bias": {},
    "tools": [],
    "tool_choice": "none",
    "functions": [],
    "function_call": "auto",
    "response_format": {"type": "text"},
    "parallel_tool_calls": True,
    "service_tier": "auto",
    "modalities": ["text"],
    "user": "someone",
    "metadata": {"from": "a test"},
    "store": False,
    "reasoning_effort": "none",
    "verbosity": "medium",
    "safety_identifier": "abc",
    "prompt_cache_key": "abc",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"ttl": "24h"},
    "prediction": {"type": "content", "content": "bird"},
    "stream_options": {"include_usage": False, "include_obfuscation": False},
    "temperature": 1,
    "top_p": 1,
    "seed": -1,
    "stop": [],
}
REFUSED: dict[str, Any] = {
    "frequency_penalty": 0.5,
    "presence_penalty": -1,
    "logit_bias": {"1": 5},
    "tools": [{"type": "function", "function": {"name": "fly"}}],
    "tool_choice": "required",
    "functions": [{"name": "fly"}],
    "function_call": {"name": "fly"},
    "response_format": {"type": "json_object"},
    "service_tier": "flex",
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "wav"},
    "store": True,
    "reasoning_effort": "high",
    "verbosity": "low",
    "moderation": {"model": "any"},
    "web_search_options": {},
}


def told(**fields: Any) -> list[dict[str, str]]:
    """What the engine is told of these messages."""
    return ChatRequest.model_validate(LEAST | fields).for_engine()[0]["messages"]


def reason(**fields: Any) -> tuple[str, str]:
    """Where and why a request is refused."""
    with pytest.raises(ValidationError) as refused:
        ChatRequest.model_validate(LEAST | fields)
    first = refused.value.errors()[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]


@pytest.fixture(scope="module")
def server(serve: Callable[..., InferenceServer], model_folder: Path) -> InferenceServer:
    return serve("--model-dir", str(model_folder))


class TestFields:
    def test_every_field_of_the_stock_client_may_be_null(self) -> None:
        """R-CHAT-1: null means the default."""
        fields = set(CompletionCreateParamsBase.__annotations__) - set(LEAST)
        nulls = dict.fromkeys([*fields, "stream"])
        assert ChatRequest.model_validate(LEAST | nulls) == ChatRequest.model_validate(LEAST)
        options = dict.fromkeys(ChatCompletionStreamOptionsParam.__annotations__)
        assert ChatRequest.model_validate(LEAST | {"stream_options": options})

    def test_every_field_is_taken_at_its_neutral_value(self) -> None:
        """R-CHAT-1."""
        (least,) = ChatRequest.model_validate(LEAST).for_engine()
        assert ChatRequest.model_validate(LEAST | NEUTRAL).for_engine() == [least | {"seed": -1}]

    def test_every_field_of_the_stock_client_is_tried(self) -> None:
        """A new version of the client may bring more."""
        own = {"max_tokens", "max_completion_tokens"}
        assert set(CompletionCreateParamsBase.__annotations__) == set(LEAST) | set(NEUTRAL) | set(REFUSED) | own

    @pytest.mark.parametrize("name", REFUSED)
    def test_what_would_change_the_answer_is_refused(self, name: str) -> None:
        """R-CHAT-1: the sentence says what is supported."""
        where, why = reason(**{name: REFUSED[name]})
        assert where == name
        assert "is not supported: " in why
        assert "Leave it out or send " in why

    @pytest.mark.parametrize(
        ("name", "value"),
        [("model", ""), ("model", "a\x00b"), ("model", "\ud800"), ("stop", ["a"] * 5), ("max_tokens", 0),
         ("n", 0), ("n", 9), ("top_logprobs", 3), ("seed", 2**63), ("temperature", 2.5)],
    )  # fmt: skip
    def test_what_makes_no_sense_is_refused(self, name: str, value: object) -> None:
        assert reason(**{name: value})[0] == name


class TestChoices:
    def test_a_seed_gives_each_choice_its_own(self) -> None:
        """R-CHAT-1: the first is that of a single answer, so that `n` only adds."""
        seeds = [one["seed"] for one in ChatRequest.model_validate(LEAST | {"n": 8, "seed": 5}).for_engine()]
        assert seeds[0] == 5
        assert len(set(seeds)) == 8
        assert seeds[:3] == [
            one["seed"] for one in ChatRequest.model_validate(LEAST | {"n": 3, "seed": 5}).for_engine()
        ]
        assert all(0 <= seed < 2**63 for seed in seeds)
        assert [one["seed"] for one in ChatRequest.model_validate(LEAST | {"n": 2}).for_engine()] == [None, None]


class TestMessages:
    def test_a_content_in_parts_is_joined(self) -> None:
        parts = [{"type": "text", "text": "سلام"}, {"type": "text", "text": " دنیا"}]
        assert told(messages=[{"role": "user", "content": parts}]) == [{"role": "user", "content": "سلام دنیا"}]

    @pytest.mark.parametrize(
        "part", [{"type": "image_url", "image_url": {"url": "data:"}}, {"type": "text"}, {"text": "x"}, "text", None]
    )
    def test_a_part_that_is_no_text_is_refused(self, part: object) -> None:
        where, why = reason(messages=[{"role": "user", "content": [{"type": "text", "text": "see"}, part]}])
        assert where == "messages.0.content"
        assert "part 1 is of type" in why
        assert "parts of type text alone" in why

    def test_a_developer_speaks_as_the_system(self) -> None:
        assert told(messages=[{"role": "developer", "content": "be brief"}, *QUESTION])[0]["role"] == "system"

    def test_an_answer_may_be_sent_back_as_it_came(self) -> None:
        """R-CHAT-1: with all members that the stock client's object has."""
        members = dict.fromkeys(ChatCompletionAssistantMessageParam.__annotations__)
        echoed = members | {"role": "assistant", "content": "a bird", "annotations": [], "tool_calls": []}
        assert told(messages=[*QUESTION, echoed])[1] == {"role": "assistant", "content": "a bird"}

    def test_an_assistant_may_have_refused_or_said_nothing(self) -> None:
        said = told(messages=[{"role": "assistant", "content": None, "refusal": "no"}, {"role": "assistant"}])
        assert [message["content"] for message in said] == ["no", ""]

    def test_a_name_is_for_the_template(self) -> None:
        named = {"role": "user", "content": "hi", "name": "Sara"}
        assert told(messages=[named]) == [named]

    @pytest.mark.parametrize(
        ("message", "named"),
        [
            ({"role": "user", "content": None}, "messages.0.content"),
            ({"role": "user", "content": "half \ud800"}, "messages.0.content"),
            ({"role": "tool", "content": "x", "tool_call_id": "1"}, "messages.0.role"),
            ({"role": "assistant", "tool_calls": [{"id": "1"}]}, "messages.0.tool_calls"),
            ({"role": "assistant", "audio": {"id": "1"}}, "messages.0.audio"),
            ({"role": "user", "content": "x", "weight": 3}, "messages.0.weight"),
        ],
    )
    def test_what_cannot_be_said_is_refused(self, message: dict[str, Any], named: str) -> None:
        assert reason(messages=[message])[0] == named


class TestServer:
    def test_the_stock_client_is_answered(self, server: InferenceServer) -> None:
        """R-CHAT-1: with all that it can leave neutral, and with its own answer in the next request."""
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as sdk:
            first = sdk.chat.completions.create(**LEAST, **NEUTRAL, max_tokens=8)
            echoed = first.choices[0].message.model_dump()
            messages = [{"role": "developer", "content": "be brief"}, *QUESTION, echoed, *QUESTION]
            second = sdk.chat.completions.create(model="noise", messages=messages, max_completion_tokens=8)
        assert second.choices[0].finish_reason == "length"

    def test_nulls_change_no_answer(self, server: InferenceServer) -> None:
        nulls = dict.fromkeys(set(CompletionCreateParamsBase.__annotations__) - {*LEAST, "temperature", "max_tokens"})
        assert answer(server, **nulls) == answer(server)

    def test_the_answer_names_the_field(self, server: InferenceServer) -> None:
        given = ask(server, response_format={"type": "json_object"})
        sentence = refusal(given, 400, "invalid_parameter")
        assert sentence == (
            'response_format: {"type": "json_object"} is not supported: the answer is free text. '
            'Leave it out or send {"type": "text"}.'
        )
        assert given.json()["error"]["param"] == "response_format"

    def test_an_unknown_field_is_told_the_known_ones(self, server: InferenceServer) -> None:
        assert "max_completion_tokens" in refusal(ask(server, temprature=0), 400, "unknown_parameter")

    def test_half_a_character_is_no_crash(self, server: InferenceServer) -> None:
        """R-API-3: JSON can hold what UTF-8 cannot, in a name as in a text."""
        for fields in (
            {"half \ud800": 0},
            {"messages": [{"role": "user", "content": "\ud800"}]},
            {"response_format": "\ud800"},
        ):
            given = httpx.post(f"{server.url}/v1/chat/completions", content=json.dumps(LEAST | fields), headers=JSON)
            refusal(given, 400, "invalid_parameter")

    @pytest.mark.parametrize("body", [b"{", b"", b"\xff\xfe", b"[]", b'"x"', b"null", b"[" * 100_000])
    def test_a_body_that_is_no_request(self, server: InferenceServer, body: bytes) -> None:
        """R-API-3."""
        given = httpx.post(f"{server.url}/v1/chat/completions", content=body, headers=JSON)
        assert given.status_code == 400, given.text
        assert given.json()["error"]["type"] == "invalid_request_error"

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
    def test_a_type_that_any_page_may_have_a_browser_send(self, server: InferenceServer, kind: str) -> None:
        """R-API-3."""
        body = json.dumps(LEAST).encode()
        given = httpx.post(f"{server.url}/v1/chat/completions", content=body, headers={"content-type": kind})
        assert "has to be application/json" in refusal(given, 400, "invalid_body")
