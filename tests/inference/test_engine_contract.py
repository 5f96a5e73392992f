"""What every engine does alike, on one tiny model: each test runs on both, and what `generate` says is the measure."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from simorgh_inference.engine.conversion import first_difference
from simorgh_inference.engine.logprobs import TokenBytes
from tests.support.gpu import needs_gpu
from tests.support.inference import CONTEXT_TOKENS, LONG, QUESTION, InferenceServer, answer, ask, refusal

_PROMPTS = [QUESTION, *([{"role": "user", "content": text}] for text in ("سلام", "thirty birds " * 20, "🐦‍🔥"))]
_NUM_NEW = 40
_CLOSE = 1e-3


@pytest.fixture(scope="module", params=["transformers", "openvino", pytest.param("gpu", marks=needs_gpu)])
def server(request: pytest.FixtureRequest, serve: Callable[..., InferenceServer], model_folder: Path) -> Any:
    """A server with this engine, in f32."""
    device, name = ("cuda", "transformers") if request.param == "gpu" else ("cpu", request.param)
    variables = {"SIMORGH_ENGINE": name, "SIMORGH_INFERENCE_DEVICE": device, "SIMORGH_PRECISION": "f32"}
    given = serve("--model-dir", str(model_folder), **variables)
    answer(given, max_tokens=1)
    assert given.loaded()["noise"].items() >= {"engine": name, "device": device}.items()
    return given


@pytest.fixture(scope="module")
def model(model_folder: Path) -> tuple[Any, Any]:
    """The tokenizer, and the model as transformers has it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    return tokenizer, AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def expected(model: tuple[Any, Any]) -> list[str]:
    """The greedy texts of `generate`, up to where two tokens are as good as equal."""
    tokenizer, decoder = model
    texts = []
    for messages in _PROMPTS:
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        told = decoder.generate(
            **ids, do_sample=False, max_new_tokens=_NUM_NEW, output_logits=True, return_dict_in_generate=True
        )
        best = [logits[0].topk(2).values for logits in told.logits]
        close = next((at for at, (one, two) in enumerate(best) if one - two < _CLOSE), len(best))
        new = told.sequences[0, ids["input_ids"].shape[1] :][:close]
        texts.append(tokenizer.decode(new, skip_special_tokens=True).rstrip("\ufffd"))
    return texts


def engine_of(server: InferenceServer) -> str:
    """Which engine it is."""
    return str(server.loaded()["noise"]["engine"])


def is_reference(server: InferenceServer) -> bool:
    """Whether each request has a cache of its own."""
    told: dict[str, Any] = dict(server.loaded()["noise"])
    return (told["engine"], told["device"]) == ("transformers", "cpu")


def cache_use(server: InferenceServer) -> float:
    """What is reserved of the cache, as Prometheus is told."""
    lines = httpx.get(f"{server.url}/metrics", timeout=10).text.splitlines()
    (told,) = (line.split()[1] for line in lines if line.startswith("simorgh_inference_cache_use_ratio "))
    return float(told)


def streamed(server: InferenceServer, **fields: Any) -> Iterator[dict[str, Any]]:
    """The events of a stream."""
    body = {"model": "noise", "messages": QUESTION, "temperature": 0, "max_tokens": 24, "stream": True} | fields
    with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body, timeout=60) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: {"):
                yield json.loads(line.removeprefix("data: "))


class TestGreedy:
    def test_it_says_what_transformers_says(self, server: InferenceServer, expected: list[str]) -> None:
        """R-CHAT-1, R-CHAT-3: token by token, alone and with others in one step."""
        alone = [answer(server, messages=messages, max_tokens=_NUM_NEW) for messages in _PROMPTS]
        with ThreadPoolExecutor(8) as threads:
            together = list(
                threads.map(lambda messages: answer(server, messages=messages, max_tokens=_NUM_NEW), _PROMPTS * 2)
            )
        for given in (alone, together[: len(_PROMPTS)], together[len(_PROMPTS) :]):
            assert all(text.startswith(one) for text, one in zip(given, expected, strict=True))
        assert sum(map(len, expected)) > 40

    def test_a_stream_is_the_same_text(self, server: InferenceServer) -> None:
        events = list(streamed(server, stream_options={"include_usage": True}))
        text = "".join(event["choices"][0]["delta"].get("content", "") for event in events if event["choices"])
        whole = ask(server).json()
        assert text == whole["choices"][0]["message"]["content"]
        assert events[-1]["usage"] == whole["usage"]
        assert whole["usage"]["completion_tokens"] == 24


class TestSampling:
    def test_a_seed_repeats(self, server: InferenceServer) -> None:
        """R-CHAT-1: beside others too."""
        alone = answer(server, temperature=1, seed=11, top_p=0.9)
        with ThreadPoolExecutor(4) as threads:
            seeds = [11, 12, 11, 13]
            given = list(threads.map(lambda seed: answer(server, temperature=1, seed=seed, top_p=0.9), seeds))
        assert given[0] == given[2] == alone
        assert len(set(given)) == 3

    def test_several_choices_differ_and_repeat(self, server: InferenceServer) -> None:
        """R-CHAT-1: streamed by their numbers; the first is what a single answer is."""
        asked = {"temperature": 1, "seed": 11, "n": 3}
        whole = ask(server, **asked).json()
        texts = [choice["message"]["content"] for choice in whole["choices"]]
        assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2]
        assert len(set(texts)) == 3
        assert texts[0] == answer(server, temperature=1, seed=11)
        said, ends = ["", "", ""], []
        *events, last = streamed(server, **asked, stream_options={"include_usage": True})
        for event in events:
            (choice,) = event["choices"]
            said[choice["index"]] += choice["delta"].get("content", "")
            ends += [choice["index"]] if choice["finish_reason"] else []
        assert said == texts
        assert sorted(ends) == [0, 1, 2]
        assert last["usage"] == whole["usage"]
        assert 48 < whole["usage"]["completion_tokens"] <= 72
        assert whole["usage"]["prompt_tokens"] == ask(server).json()["usage"]["prompt_tokens"]

    @pytest.mark.parametrize("seed", [-(2**63), -1, 2**63 - 1])
    def test_every_seed_is_one(self, server: InferenceServer, seed: int) -> None:
        assert answer(server, temperature=1, seed=seed) == answer(server, temperature=1, seed=seed)

    def test_nearly_no_temperature_and_nearly_no_nucleus_are_greedy(self, server: InferenceServer) -> None:
        greedy = answer(server)
        assert answer(server, temperature=1e-40) == greedy
        assert answer(server, temperature=1, top_p=1e-50) == greedy


class TestEnds:
    def test_a_stop_string_ends_the_text(self, server: InferenceServer) -> None:
        whole = answer(server, max_tokens=60)
        stop = whole[10:13]
        given = ask(server, max_tokens=60, stop=stop).json()
        assert given["choices"][0]["message"]["content"] == whole[: whole.index(stop)]
        assert given["choices"][0]["finish_reason"] == "stop"
        assert given["usage"]["completion_tokens"] < 60
        server.wait(server.is_idle, "it is idle")

    def test_the_limit_ends_the_text(self, server: InferenceServer) -> None:
        given = ask(server, max_tokens=3).json()
        assert given["choices"][0]["finish_reason"] == "length"
        assert given["usage"]["completion_tokens"] == 3

    def test_a_client_that_leaves_ends_its_answer_alone(self, server: InferenceServer) -> None:
        """R-CHAT-3."""
        body = LONG | {"stream": True}
        with (
            httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body, timeout=60) as left,
            ThreadPoolExecutor(1) as threads,
        ):
            next(left.iter_lines())
            stays = threads.submit(answer, server, max_tokens=100)
            left.close()
            assert stays.result()
        server.wait(server.is_idle, "it is idle", within_s=5)

    def test_what_is_reserved_of_the_cache_is_told(self, server: InferenceServer) -> None:
        """R-CHAT-3, R-OPS-3: while somebody is answered, and no longer. Without a pool it is nothing."""
        has_pool = not is_reference(server)
        body = LONG | {"stream": True, "n": 8}  # one alone would be over before Prometheus has asked
        with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body, timeout=60) as left:
            lines = left.iter_lines()  # without a name it would be closed, and the stream with it
            next(lines)
            server.wait(lambda: (cache_use(server) > 0) is has_pool, "what is reserved is told", within_s=5)
        server.wait(lambda: cache_use(server) == 0, "it has all back", within_s=5)


class TestRefusals:
    def test_what_does_not_fit_in_the_window(self, server: InferenceServer) -> None:
        """R-CHAT-1: refused before the engine, which would answer nothing."""
        long = [{"role": "user", "content": "z" * (CONTEXT_TOKENS + 1)}]
        refusal(ask(server, messages=long), 400, "context_length_exceeded")
        refusal(ask(server, max_tokens=CONTEXT_TOKENS), 400, "context_length_exceeded")


class TestLogprobs:
    def test_they_are_those_of_transformers(self, server: InferenceServer, model: tuple[Any, Any]) -> None:
        """R-CHAT-1: of the chosen token, whatever the temperature; the tokens' bytes are the text."""
        import torch

        tokenizer, decoder = model
        choice = ask(server, temperature=1.2, seed=5, logprobs=True, max_tokens=40).json()["choices"][0]
        content = choice["logprobs"]["content"]
        said = b"".join(bytes(one["bytes"]) for one in content)
        assert said.decode(errors="replace") == choice["message"]["content"]
        assert any("\\x" in one["token"] for one in content)
        ids = tokenizer.apply_chat_template(QUESTION, add_generation_prompt=True, return_dict=True)["input_ids"]
        bytes_of = TokenBytes(tokenizer)
        id_of = {bytes(bytes_of.of(token)[1] or ()): token for token in range(len(tokenizer))}
        new = [id_of[bytes(one["bytes"])] for one in content]
        with torch.inference_mode():
            logits = decoder(input_ids=torch.tensor([[*ids, *new]])).logits[0, len(ids) - 1 : -1]
        expected = logits.log_softmax(-1)[range(len(new)), new].tolist()
        assert [one["logprob"] for one in content] == pytest.approx(expected, abs=1e-3)

    def test_a_stream_tells_the_same(self, server: InferenceServer) -> None:
        """R-CHAT-1: each with the text that it is part of, and nothing of a stop string."""
        whole = ask(server, logprobs=True, max_tokens=40).json()["choices"][0]
        events = list(streamed(server, logprobs=True, max_tokens=40))
        told = [event["choices"][0] for event in events]
        pieces = [one["logprobs"]["content"] for one in told if one["logprobs"]]
        assert [one for piece in pieces for one in piece] == whole["logprobs"]["content"]
        text = whole["message"]["content"]
        stop = text[10:13]
        cut = ask(server, logprobs=True, max_tokens=40, stop=stop).json()["choices"][0]
        said = b"".join(bytes(one["bytes"]) for one in cut["logprobs"]["content"])
        assert said.decode(errors="replace") == cut["message"]["content"] == text[: text.index(stop)]

    def test_the_likeliest_are_told_in_their_order_or_refused(self, server: InferenceServer) -> None:
        """R-CHAT-1: greedy, the first of them is the chosen one; a refusal has the name, and what to do."""
        if engine_of(server) == "openvino":
            for stream in (False, True):
                given = ask(server, logprobs=True, top_logprobs=2, stream=stream)
                assert "SIMORGH_ENGINE=transformers" in refusal(given, 400, "invalid_parameter")
                assert given.json()["error"]["param"] == "top_logprobs"
            return
        choice = ask(server, logprobs=True, top_logprobs=3).json()["choices"][0]
        for one in choice["logprobs"]["content"]:
            first, second, third = one["top_logprobs"]
            assert (first["bytes"], first["logprob"]) == (one["bytes"], one["logprob"])
            assert first["logprob"] >= second["logprob"] >= third["logprob"]


class TestChoice:
    def test_it_is_told_with_its_reason(self, server: InferenceServer) -> None:
        """R-CHAT-4."""
        told = httpx.get(f"{server.url}/v1/models").json()["data"][0]["simorgh"]
        assert told["engine"] in ("transformers", "openvino")
        assert told["engine_reason"]
        assert (told["precision"], told["context_tokens"]) == ("f32", CONTEXT_TOKENS)


class TestCachePool:
    def test_a_small_pool_bounds_the_window_and_the_others_wait(
        self, serve: Callable[..., InferenceServer], model_folder: Path
    ) -> None:
        """R-CHAT-3: no answer is cut because the pool is full; what cannot ever fit is refused."""
        per_token = 2 * 2 * 2 * 8 * 4  # keys and values, layers, heads, size, bytes
        variables = {"SIMORGH_ENGINE": "openvino", "SIMORGH_PRECISION": "f32"}
        variables["SIMORGH_KV_CACHE_BYTES"] = str(per_token * 32 * 12)
        small = serve("--model-dir", str(model_folder), **variables)
        assert "352" in refusal(ask(small, max_tokens=350), 400, "context_length_exceeded")
        with ThreadPoolExecutor(6) as threads:
            given = list(threads.map(lambda _: ask(small, max_tokens=200).json(), range(6)))
        assert {one["usage"]["completion_tokens"] for one in given} == {200}
        assert len({one["choices"][0]["message"]["content"] for one in given}) == 1


class TestFallback:
    def test_an_architecture_that_cannot_be_converted(
        self, serve: Callable[..., InferenceServer], model_folder: Path, tmp_path: Path
    ) -> None:
        """R-CHAT-4: transformers serves it, and says why."""
        for path in model_folder.iterdir():
            os.link(path, tmp_path / path.name)
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").unlink()
        scaling = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
        (tmp_path / "config.json").write_text(json.dumps(config | {"rope_parameters": scaling}))
        server = serve("--model-dir", str(tmp_path), SIMORGH_ENGINE="openvino")
        assert answer(server, max_tokens=2)
        (told,) = server.loaded().values()
        assert told["engine"] == "transformers"
        assert "position embeddings" in told["engine_reason"]  # type: ignore[operator]
        assert server.logged("engine_is_transformers")


class TestFirstDifference:
    @pytest.mark.parametrize(("given", "at"), [([1, 2, 3], None), ([1, 9, 3], 1), ([1], 1), ([1, 2, 9], None), ([], 0)])
    def test_it_looks_up_to_where_two_tokens_are_equal(self, given: list[int], at: int | None) -> None:
        assert first_difference([1, 2, 3], [0.5, 0.5, 0.0001], given) == at
