"""Plain texts are gone on with, by OpenAI's own client and a real engine (R-CHAT-1)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.support.inference import InferenceServer, refusal

PROMPTS = ["سلام", "hello 🐦‍🔥", "می‌روم به خانه"]
SHORT: dict[str, Any] = {"model": "noise", "temperature": 0, "max_tokens": 24}


@pytest.fixture(scope="module")
def server(serve: Callable[..., InferenceServer], model_folder: Path) -> InferenceServer:
    return serve("--model-dir", str(model_folder))


@pytest.fixture(scope="module")
def sdk(server: InferenceServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_greedy_text_is_that_of_transformers(sdk: openai.OpenAI, model_folder: Path) -> None:
    """R-CHAT-1: no template comes around the prompt; each of several has its own number."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    model = AutoModelForCausalLM.from_pretrained(model_folder)
    told = sdk.completions.create(**SHORT, prompt=PROMPTS)
    num_tokens = 0
    for prompt, choice in zip(PROMPTS, told.choices, strict=True):
        given = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
        num_tokens += given["input_ids"].shape[1]
        ids = model.generate(**given, max_new_tokens=24, do_sample=False, pad_token_id=0)
        expected = tokenizer.decode(ids[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
        assert choice.text == expected.rstrip("\ufffd")
        assert choice.finish_reason == "length"
    assert [choice.index for choice in told.choices] == [0, 1, 2]
    assert told.usage is not None
    assert (told.usage.prompt_tokens, told.usage.completion_tokens) == (num_tokens, 72)


def test_a_stream_says_the_same(sdk: openai.OpenAI) -> None:
    """R-CHAT-1: by one seed, several prompts at once, with the usage of all."""
    asked = SHORT | {"temperature": 1.1, "top_p": 0.9, "seed": 7}
    plain = sdk.completions.create(**asked, prompt=PROMPTS)
    texts, finishes, last = ["", "", ""], {}, None
    for chunk in sdk.completions.create(**asked, prompt=PROMPTS, stream=True, stream_options={"include_usage": True}):
        last = chunk
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            finishes[choice.index] = choice.finish_reason
    assert texts == [choice.text for choice in plain.choices]
    assert finishes == {choice.index: choice.finish_reason for choice in plain.choices}
    assert last is not None
    assert last.usage == plain.usage


def test_how_likely_each_token_was(sdk: openai.OpenAI) -> None:
    """R-CHAT-1: in the shape of completions, plain and streamed; the chosen token stands among the likeliest."""
    asked = SHORT | {"temperature": 1.1, "seed": 7, "logprobs": 2, "prompt": "سلام", "max_tokens": 40}
    (whole,) = sdk.completions.create(**asked).choices
    told = whole.logprobs
    assert told is not None
    assert told.tokens is not None
    assert told.token_logprobs is not None
    assert told.top_logprobs is not None
    assert told.text_offset is not None
    for name, logprob, top in zip(told.tokens, told.token_logprobs, told.top_logprobs, strict=True):
        assert top[name] == logprob
        assert 2 <= len(top) <= 3
    assert any(name.startswith("bytes:\\x") for name in told.tokens)
    for name, at in zip(told.tokens, told.text_offset, strict=True):
        assert name.startswith("bytes:") or whole.text[at:].startswith(name)
    tokens, offsets = [], []
    for chunk in sdk.completions.create(**asked, stream=True):
        if (piece := chunk.choices[0].logprobs) is not None:
            tokens += piece.tokens or []
            offsets += piece.text_offset or []
    assert (tokens, offsets) == (told.tokens, told.text_offset)


def test_each_prompt_has_its_choices_in_a_row(sdk: openai.OpenAI) -> None:
    """R-CHAT-1: a prompt counts once, and every token that was made."""
    asked = SHORT | {"temperature": 1.1, "seed": 7, "n": 2, "best_of": 2}
    given = sdk.completions.create(**asked, prompt=PROMPTS)
    single = sdk.completions.create(**asked | {"n": 1, "best_of": None}, prompt=PROMPTS)
    assert [choice.index for choice in given.choices] == list(range(6))
    assert [choice.text for choice in given.choices[::2]] == [choice.text for choice in single.choices]
    assert all(first.text != second.text for first, second in zip(given.choices[::2], given.choices[1::2], strict=True))
    assert given.usage is not None
    assert single.usage is not None
    assert given.usage.prompt_tokens == single.usage.prompt_tokens
    assert given.usage.completion_tokens == 144


def test_it_stops_where_it_is_told(sdk: openai.OpenAI) -> None:
    """R-CHAT-1: sixteen tokens without a limit, as at OpenAI; the stop string is not part of the text."""
    whole = sdk.completions.create(model="noise", temperature=0, prompt="سلام")
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 16
    text = whole.choices[0].text
    cut = sdk.completions.create(model="noise", temperature=0, prompt="سلام", stop=text[3:5])
    assert cut.choices[0].finish_reason == "stop"
    assert cut.choices[0].text == text[: text.index(text[3:5])]


def test_a_client_that_leaves_ends_all_its_prompts(server: InferenceServer) -> None:
    """R-CHAT-3."""
    body = {"model": "noise", "prompt": PROMPTS, "temperature": 0, "max_tokens": 1500, "stream": True}
    with httpx.stream("POST", f"{server.url}/v1/completions", json=body, timeout=60) as answer:
        next(answer.iter_lines())
    server.wait(server.is_idle, "nothing is worked on")


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({"echo": True}, "invalid_parameter", "the prompt is not repeated"),
        ({"suffix": "x"}, "invalid_parameter", "fill no gaps"),
        ({"logprobs": 6}, "invalid_parameter", "logprobs: "),
        ({"best_of": 2}, "invalid_parameter", "best_of: 2 is not supported"),
        ({"n": 9}, "invalid_parameter", "n: "),
        ({"n": 8, "prompt": ["x"] * 5}, "invalid_parameter", "n: 40 answers are too many"),
        ({"prompt": [1, 2]}, "invalid_parameter", "Send a text, or an array of texts"),
        ({"prompt": []}, "invalid_parameter", "prompt"),
        ({"prompt": None}, "invalid_parameter", "prompt"),
        ({"prompt": ["x"] * 33}, "invalid_parameter", "prompt"),
        ({"messages": []}, "unknown_parameter", "Known parameters: model, prompt"),
        ({"prompt": "z" * 5_000}, "context_length_exceeded", "window holds 2048"),
    ],
)
def test_what_is_not_done_is_refused_by_its_name(
    server: InferenceServer, fields: dict[str, Any], code: str, says: str
) -> None:
    """R-CHAT-1: streamed as plain."""
    for stream in (False, True):
        body = SHORT | {"prompt": "سلام", "stream": stream} | fields
        assert says in refusal(httpx.post(f"{server.url}/v1/completions", json=body, timeout=60), 400, code)
