"""The inference server over HTTP with real engine children, on one local folder."""

import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest

from tests.support.inference import CONTEXT_TOKENS, LONG, QUESTION, InferenceServer, answer, ask, refusal

KEY = "a key for the gateway"
HEADERS = {"x-simorgh-internal-key": KEY}


@pytest.fixture(scope="module")
def server(serve: Callable[..., InferenceServer], model_folder: Path) -> InferenceServer:
    return serve("--model-dir", str(model_folder), SIMORGH_MAX_WAITING="3", SIMORGH_S3_SECRET_ACCESS_KEY="secret")


class TestChat:
    def test_greedy_text_is_that_of_transformers(self, server: InferenceServer, model_folder: Path) -> None:
        """R-CHAT-1."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(model_folder)
        model = AutoModelForCausalLM.from_pretrained(model_folder)
        for prompt in ("سلام", "hello 🐦‍🔥", "می‌روم به خانه"):
            messages = [{"role": "user", "content": prompt}]
            given = tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            ids = model.generate(**given, max_new_tokens=40, do_sample=False, pad_token_id=0)
            expected = tokenizer.decode(ids[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
            assert len(expected) > 5
            assert answer(server, messages=messages, max_tokens=40) == expected.rstrip("\ufffd")

    def test_stock_client_gets_the_same_plain_and_streamed(self, server: InferenceServer) -> None:
        """R-CHAT-1: sampled by one seed, the pieces are the text, and the usage is the same."""
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as sdk:
            request: dict[str, Any] = {"model": "noise", "messages": QUESTION, "seed": 5, "max_tokens": 80}
            plain = sdk.chat.completions.create(**request, temperature=1.1, top_p=0.9)
            chunks = list(
                sdk.chat.completions.create(
                    **request, temperature=1.1, top_p=0.9, stream=True, stream_options={"include_usage": True}
                )
            )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text == plain.choices[0].message.content
        assert chunks[-1].usage == plain.usage
        assert plain.usage is not None
        assert plain.usage.completion_tokens <= 80
        assert plain.choices[0].finish_reason == chunks[-2].choices[0].finish_reason

    def test_a_seed_repeats_and_another_differs(self, server: InferenceServer) -> None:
        texts = [answer(server, temperature=1.0, seed=seed, max_tokens=40) for seed in (1, 1, 2)]
        assert texts[0] == texts[1] != texts[2]

    def test_the_smallest_temperature_and_nucleus_are_greedy(self, server: InferenceServer) -> None:
        """R-CHAT-1: numbers that are 0 in float32 end no engine."""
        before, expected = server.pid(), answer(server)
        assert answer(server, temperature=1e-40) == expected
        assert answer(server, temperature=1, top_p=1e-50) == expected
        assert server.pid() == before

    def test_a_stop_string_ends_the_text(self, server: InferenceServer) -> None:
        whole = answer(server, max_tokens=60)
        stop = whole[10:13]
        given = ask(server, max_tokens=60, stop=stop).json()["choices"][0]
        assert given["message"]["content"] == whole[: whole.index(stop)]
        assert given["finish_reason"] == "stop"

    def test_the_limit_of_tokens_ends_the_text(self, server: InferenceServer) -> None:
        given = ask(server, max_tokens=3).json()
        assert given["choices"][0]["finish_reason"] == "length"
        assert given["usage"]["completion_tokens"] == 3

    def test_the_name_that_the_gateway_gives_is_the_model(self, server: InferenceServer) -> None:
        body = {"model": "noise", "messages": QUESTION, "max_tokens": 1}
        headers = {"x-simorgh-model-name": "my-model"}
        given = httpx.post(f"{server.url}/v1/chat/completions", json=body, headers=headers, timeout=60)
        assert given.json()["model"] == "my-model"

    def test_several_clients_go_on_together(self, server: InferenceServer) -> None:
        """A short request that comes later ends while a long one runs."""
        with httpx.stream(
            "POST", f"{server.url}/v1/chat/completions", json=LONG | {"stream": True}, timeout=60
        ) as long:
            lines = long.iter_lines()
            next(lines)
            assert len(answer(server)) > 0
            assert server.loaded()["noise"]["num_active"] == 1
            next(lines)
        server.wait(server.is_idle, "it is idle")


class TestRefusals:
    def test_a_prompt_beyond_the_window(self, server: InferenceServer) -> None:
        long = [{"role": "user", "content": "z" * (CONTEXT_TOKENS + 1)}]
        for stream in (False, True):
            sentence = refusal(ask(server, messages=long, stream=stream), 400, "context_length_exceeded")
            assert str(CONTEXT_TOKENS) in sentence

    @pytest.mark.parametrize(
        ("fields", "named"),
        [({"n": 9}, "n"), ({"logit_bias": {"1": 5}}, "logit_bias"), ({"temperature": -1}, "temperature"),
         ({"messages": []}, "messages"), ({"top_p": 0}, "top_p")],
    )  # fmt: skip
    def test_what_would_change_the_answer(self, server: InferenceServer, fields: dict[str, Any], named: str) -> None:
        assert named in refusal(ask(server, **fields), 400, "invalid_parameter")

    def test_more_requests_than_the_limit(self, server: InferenceServer) -> None:
        with ThreadPoolExecutor(6) as threads:
            given = list(threads.map(lambda _: ask(server, max_tokens=250), range(6)))
        busy = [one for one in given if one.status_code == 429]
        assert busy
        assert {one.status_code for one in given} == {200, 429}
        assert all(int(one.headers["retry-after"]) > 0 for one in busy)

    def test_the_wrong_internal_key(self, serve: Callable[..., InferenceServer], model_folder: Path) -> None:
        guarded = serve("--model-dir", str(model_folder), SIMORGH_INTERNAL_KEY=KEY)
        url = f"{guarded.url}/internal/models"
        refusal(httpx.get(url), 401, "internal_key_wrong")
        refusal(httpx.get(url, headers={"x-simorgh-internal-key": KEY + "x"}), 401, "internal_key_wrong")
        assert httpx.get(url, headers=HEADERS).json()["cached"] == ["noise"]
        assert httpx.get(f"{guarded.url}/readyz").status_code == 200

    def test_a_model_that_cannot_be_loaded(self, serve: Callable[..., InferenceServer], tmp_path: Path) -> None:
        """R-MODEL-1: 400 and no 503, which clients would try again."""
        (tmp_path / "config.json").write_text("{}")
        broken = serve("--model-dir", str(tmp_path))
        assert "cannot be chatted with" in refusal(ask(broken), 400, "model_unservable")
        assert broken.loaded() == {}


class TestEngineChild:
    def test_it_has_the_threads_setting_and_no_secrets(self, server: InferenceServer) -> None:
        environment = psutil.Process(server.pid()).environ()
        assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
        assert environment["GOMP_SPINCOUNT"] == "0"
        assert environment["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"
        assert "SIMORGH_S3_SECRET_ACCESS_KEY" not in environment
        assert os.getsid(server.pid()) == server.pid()

    def test_a_killed_child_costs_only_what_it_held(self, server: InferenceServer) -> None:
        """R-CHAT-1: a stream ends with an error event, a plain request with 502; the next one works."""
        before, expected = server.pid(), answer(server)
        with ThreadPoolExecutor(1) as threads:
            plain = threads.submit(ask, server, max_tokens=1500)
            with httpx.stream(
                "POST", f"{server.url}/v1/chat/completions", json=LONG | {"stream": True}, timeout=60
            ) as stream:
                lines = stream.iter_lines()
                next(lines)
                server.wait(lambda: server.loaded()["noise"]["num_taken"] == 2, "both run")
                os.kill(before, signal.SIGKILL)
                last = [line for line in lines if line][-1]
            assert json.loads(last.removeprefix("data: "))["error"]["code"] == "engine_lost"
            assert "send the request again" in refusal(plain.result(), 502, "engine_lost")
        assert answer(server) == expected
        assert server.pid() != before

    def test_a_request_that_the_engine_had_not_taken_goes_to_a_new_one(self, server: InferenceServer) -> None:
        """R-CHAT-3: an engine that stands still takes nothing, and is killed with what it was given."""
        before, expected = server.pid(), answer(server)
        os.kill(before, signal.SIGSTOP)
        with ThreadPoolExecutor(3) as threads:
            given = [threads.submit(answer, server) for _ in range(3)]
            server.wait(lambda: server.loaded()["noise"]["num_active"] == 3, "it holds them")
            assert server.loaded()["noise"]["num_taken"] == 0
            os.kill(before, signal.SIGKILL)
            assert {one.result() for one in given} == {expected}
        assert server.pid() != before

    def test_requests_in_the_instant_of_a_kill_are_answered(self, server: InferenceServer) -> None:
        """R-CHAT-3: whether the front has noticed or not."""
        expected = answer(server)
        for _ in range(4):
            os.kill(server.loaded()["noise"]["pid"], signal.SIGKILL)
            assert answer(server) == expected

    def test_first_requests_that_come_together_load_once(self, server: InferenceServer) -> None:
        os.kill(server.pid(), signal.SIGKILL)
        with ThreadPoolExecutor(3) as threads:
            texts = set(threads.map(lambda _: answer(server, max_tokens=4), range(3)))
        assert len(texts) == 1
        alive = [one for one in psutil.Process(server.process.pid).children() if one.status() != psutil.STATUS_ZOMBIE]
        assert [one.pid for one in alive] == [server.pid()]

    def test_it_stops_when_the_client_leaves_a_stream(self, server: InferenceServer) -> None:
        """R-CHAT-3."""
        with httpx.stream(
            "POST", f"{server.url}/v1/chat/completions", json=LONG | {"stream": True}, timeout=60
        ) as left:
            lines = left.iter_lines()
            next(lines)
            assert not server.is_idle()
        server.wait(server.is_idle, "it is idle", within_s=1.0)

    def test_it_stops_when_the_client_leaves_a_plain_request(self, server: InferenceServer) -> None:
        """R-CHAT-3."""
        server.pid()
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/v1/chat/completions", json=LONG, timeout=0.3)
        server.wait(server.is_idle, "it is idle", within_s=1.0)


class TestShutdown:
    def test_nothing_is_left_after_the_front_ends(
        self, serve: Callable[..., InferenceServer], model_folder: Path
    ) -> None:
        """By SIGTERM the front ends its children; by SIGKILL the kernel does."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            ended = serve("--model-dir", str(model_folder))
            child = psutil.Process(ended.pid())
            ended.process.send_signal(how)
            ended.process.wait(20)
            child.wait(5)
