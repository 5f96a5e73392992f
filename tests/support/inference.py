"""A tiny random model folder, and the real inference server as a child process.

- `model_folder` (session): a Llama with random weights, a byte-level tokenizer and a chat template.
- `serve` (module): a function that starts `simorgh-inference` and gives its address and process.
- `ask`, `answer`, `refusal`: one chat request, and what has to be true of its answer.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.environment import inherited
from tests.support.ports import free_port

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CONTEXT_TOKENS = 2048
QUESTION = [{"role": "user", "content": "حال شما چطور است؟ 🐦‍🔥"}]
LONG = {"model": "noise", "messages": QUESTION, "temperature": 0, "max_tokens": 1500}  # never draws the end token
_WORDS = ["سلام دنیا، حالِ شما چطور است؟", "می‌روم به خانه 🐦‍🔥 و برمی‌گردم.", "thirty birds, one bird"]
_READY_S = 30.0


@dataclass(frozen=True)
class InferenceServer:
    """A running inference server."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def loaded(self) -> dict[str, dict[str, int]]:
        """Its live engines by model."""
        return httpx.get(f"{self.url}/internal/models", timeout=10).json()["loaded"]

    def pid(self) -> int:
        """Its one engine's process, started where there is none."""
        answer(self, max_tokens=1)
        return next(iter(self.loaded().values()))["pid"]

    def is_idle(self) -> bool:
        """Whether no engine holds a request."""
        return all(child["num_active"] == 0 for child in self.loaded().values())

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log with this event."""
        whole, _, _ = self.log.read_text().rpartition("\n")
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def wait(self, condition: Callable[[], object], what: str, within_s: float = 15.0) -> None:
        """Poll until it holds."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come true:\n{self.log.read_text()[-2000:]}"
            time.sleep(0.02)


def ask(server: InferenceServer, headers: Mapping[str, str] | None = None, **fields: Any) -> httpx.Response:
    """A greedy request, but for what the fields say."""
    body = {"model": "noise", "messages": QUESTION, "temperature": 0, "max_tokens": 24} | fields
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, headers=headers, timeout=60)


def answer(server: InferenceServer, **fields: Any) -> str:
    """The text of a request that has to succeed."""
    given = ask(server, **fields)
    assert given.status_code == 200, given.text
    return given.json()["choices"][0]["message"]["content"]


def refusal(given: httpx.Response, status: int, code: str) -> str:
    """The sentence of an answer that has to be this error."""
    assert given.status_code == status, given.text
    error = given.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    return error["message"]


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says noise, quickly, and never the same noise for two prompts."""
    folder = tmp_path_factory.mktemp("model") / "noise"
    make_model(folder)
    return folder


def make_model(folder: Path) -> None:
    """Write the tiny model. Each byte is a token, so that every character beyond ASCII spans several."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    trained = ByteLevelBPETokenizer()
    specials = ["<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
    trained.train_from_iterator(_WORDS, vocab_size=270, special_tokens=specials, show_progress=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=trained._tokenizer, eos_token="<|end|>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_TOKENS,
        initializer_range=0.4,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., InferenceServer]]:
    """Starts servers; ends them with the module."""
    started: list[InferenceServer] = []

    def start(*arguments: str, until: str = "/readyz", **variables: str) -> InferenceServer:
        port = free_port()
        log = tmp_path_factory.mktemp("inference") / "server.log"
        environment = (
            inherited() | {"SIMORGH_ENGINE": "transformers"} | variables | {"SIMORGH_INFERENCE_PORT": str(port)}
        )
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "simorgh_inference.main", *arguments], env=environment, stdout=file, stderr=file
            )
        server = InferenceServer(f"http://127.0.0.1:{port}", process, log)
        started.append(server)
        server.wait(lambda: process.poll() is not None or _answers(f"{server.url}{until}"), "it is ready", _READY_S)
        return server

    yield start
    for server in started:
        server.process.terminate()
    for server in started:
        server.process.wait(20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False
