"""make bench-serve: chat over HTTP beside the engine alone and beside `transformers serve`.

    python benchmarks/serve.py --peers PYTHON [--seconds N] [--precision bf16|int8]

A Llama of 34M random weights, a prompt of about 25 tokens, 64 greedy tokens, streamed to 1, 8 and 32 clients on the
same cores. Ours is `simorgh-inference --model-dir`, and the whole platform through its gateway; the engine alone is
openvino-genai in a process of its own that neither speaks HTTP nor makes text of its tokens. Servers that are not
measured are stopped meanwhile, so that what they do when idle costs the others nothing.
"""

import argparse
import json
import os
import pydoc_data.topics
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
from measuring import percent, quiet_torch, report, run_rounds

from simorgh_cli.platform import running_platform
from simorgh_cli.processes import SERVICES
from simorgh_inference.launching import HUGE_PAGES
from voice import signed_up, upload

HERE = Path(__file__).parent
VOCABULARY = 16_384
MAX_TOKENS = 64
CLIENTS = {1: 4, 8: 2, 32: 2}
"""How many requests each client makes, one after the other."""
QUESTION = "What does the with statement do when the body of it raises an exception?"
NAME = "llama-34m"
START_S = 180.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True, help="a Python that has transformers[serving]")
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--precision", choices=("bf16", "int8"), default="bf16")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="simorgh-bench-")))
        model, converted = make_model(folder / NAME), folder / "converted"
        weights = "int8" if arguments.precision == "int8" else "f32"
        convert = [sys.executable, "-m", "simorgh_inference.engine.conversion", "--model-dir", str(model)]
        subprocess.run([*convert, "--target", str(converted), "--weights", weights], check=True, env=quiet())
        ours = {"SIMORGH_ENGINE": "openvino", "SIMORGH_PRECISION": arguments.precision}
        transformers = [str(Path(arguments.peers).parent / "transformers"), "serve", str(model), "--device", "cpu"]
        servers = {
            "simorgh": stack.enter_context(our_server(model, ours)),
            "gateway": stack.enter_context(our_platform(folder, model, ours)),
            "transformers": stack.enter_context(server("transformers", transformers, model)),
            "transformers batching": stack.enter_context(
                server("transformers batching", [*transformers, "--continuous-batching"], model)
            ),
        }
        alone = Worker(stack, "engine", str(converted), arguments.precision)
        measure(servers, alone, Worker(stack, "client"), prompt_ids(model), arguments.seconds)


class Server:
    """Something that answers at /v1/chat/completions."""

    def __init__(self, url: str, pids: Callable[[], list[int]], model: str, headers: Mapping[str, str]) -> None:
        self.url = httpx.URL(url)
        self.body = {
            "model": model,
            "messages": [{"role": "user", "content": QUESTION}],
            "max_tokens": MAX_TOKENS,
            "temperature": 0.0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        self.headers = dict(headers)
        self._pids = pids

    def stop(self) -> None:
        """Have it do nothing at all."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it work again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for pid in self._pids():
            os.kill(pid, number)


class Worker:
    """A part of peers/serving.py in a process of its own."""

    def __init__(self, stack: ExitStack, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "peers" / "serving.py"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=quiet() | HUGE_PAGES,  # as our engine's
        )
        stack.callback(self._process.communicate)
        self._read()

    def do(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """One task."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._read())
        return answer

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")
        return line


def measure(servers: Mapping[str, Server], alone: Worker, client: Worker, prompt: list[int], seconds: float) -> None:
    """Interleave all; print."""
    first_s: dict[str, list[float]] = {}
    cores: dict[str, list[float]] = {}

    def over_http(name: str, clients: int) -> Callable[[], float]:
        server = servers[name]
        task = {"host": server.url.host, "port": server.url.port, "headers": server.headers, "body": server.body}

        def ask() -> float:
            server.go_on()
            told = client.do({**task, "clients": clients, "requests_each": CLIENTS[clients]})
            server.stop()
            first_s.setdefault(f"{name}, {clients}", []).append(percent(told["first_s"], 0.95))
            cores.setdefault(f"{name}, {clients}", []).append(told["client_cores"])
            return float(told["tokens_per_s"])

        return ask

    def by_itself(clients: int) -> Callable[[], float]:
        task = {"prompt_ids": prompt, "max_tokens": MAX_TOKENS, "clients": clients, "requests_each": CLIENTS[clients]}

        def ask() -> float:
            told = alone.do(task)
            first_s.setdefault(f"engine alone, {clients}", []).append(percent(told["first_s"], 0.95))
            return float(told["tokens_per_s"])

        return ask

    variants = {f"engine alone, {clients}": by_itself(clients) for clients in CLIENTS}
    variants |= {
        f"{name}, {clients}": over_http(name, clients) for name in ("simorgh", "gateway") for clients in CLIENTS
    }
    variants |= {f"transformers batching, {clients}": over_http("transformers batching", clients) for clients in (1, 8)}
    variants["transformers, 1"] = over_http("transformers", 1)
    for server in servers.values():
        server.stop()
    for variant in variants.values():
        variant()  # warm
    first_s.clear()
    rounds = run_rounds(variants, seconds)
    ratios = {
        f"of_engine_{clients}": rounds.ratio(f"simorgh, {clients}", f"engine alone, {clients}") for clients in CLIENTS
    }
    ratios |= {
        f"gateway_of_engine_{clients}": rounds.ratio(f"gateway, {clients}", f"engine alone, {clients}")
        for clients in CLIENTS
    }
    ratios["vs_transformers_batching_8"] = rounds.ratio("simorgh, 8", "transformers batching, 8")
    for key, name in (("", "simorgh"), ("gateway_", "gateway"), ("engine_", "engine alone")):
        ratios[f"{key}first_token_p95_s_32"] = statistics.median(first_s[f"{name}, 32"])
    goals = {
        "of_engine_1": (">=", 0.8),
        "of_engine_8": (">=", 0.8),
        "of_engine_32": (">=", 0.7),
        "vs_transformers_batching_8": (">=", 6.0),
        "first_token_p95_s_32": ("<=", 0.15),
    }
    notes = {"client_cores": {name: round(max(cores[name]), 2) for name in cores}}
    report("serve", "tokens/s", rounds, ratios, goals, notes)


def make_model(folder: Path) -> Path:
    """34M random weights, and a tokenizer of English that was made of Python's own documentation."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    # No bytes: what random weights say would be half characters for long stretches, which no server sends.
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.Metaspace()
    words.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<s>", "</s>"], show_progress=False)
    words.train_from_iterator(pydoc_data.topics.topics.values(), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=512,
        intermediate_size=1376,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def prompt_ids(model: Path) -> list[int]:
    """What the question becomes."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    text = tokenizer.apply_chat_template([{"role": "user", "content": QUESTION}], tokenize=False)
    return list(tokenizer(text)["input_ids"])


@contextmanager
def our_server(model: Path, settings: Mapping[str, str]) -> Iterator[Server]:
    """The inference server by itself."""
    program = str(Path(sys.executable).parent / "simorgh-inference")
    with started([program, "--model-dir", str(model)], settings, "SIMORGH_INFERENCE_PORT") as (url, pids):
        yield until_it_answers(Server(url, pids, model.name, {}))


@contextmanager
def our_platform(folder: Path, model: Path, settings: Mapping[str, str]) -> Iterator[Server]:
    """Gateway and inference server on their real database and storage."""
    given = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **settings}
    wanted = [service for service in SERVICES if service.name in ("api", "dispatcher", "inference")]
    with running_platform(folder / "data", given, lambda text: None, wanted) as platform:
        with signed_up(platform.api_url) as client:
            upload(client, model, NAME)
            headers = {"authorization": client.headers["authorization"]}
        pids = [child.pid for child in platform.supervisor.children if child.pid is not None]
        yield until_it_answers(Server(platform.api_url, lambda: with_children(pids), NAME, headers))


@contextmanager
def server(name: str, command: list[str], model: Path) -> Iterator[Server]:
    """Another's."""
    del name
    with started(command, {}, None) as (url, pids):
        yield until_it_answers(Server(url, pids, str(model), {}))


@contextmanager
def started(
    command: list[str], settings: Mapping[str, str], port_variable: str | None
) -> Iterator[tuple[str, Callable[[], list[int]]]]:
    """A server on a free port; its address, and its processes."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    command = command if port_variable else [*command, "--host", "127.0.0.1", "--port", port]
    environment = quiet() | dict(settings) | ({port_variable: port} if port_variable else {})
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}", lambda: with_children([process.pid])
        except BaseException:
            log.seek(0)
            print(log.read()[-3_000:].decode(errors="replace"), file=sys.stderr)
            raise
        finally:
            for pid in with_children([process.pid]):
                os.kill(pid, signal.SIGCONT)
            process.terminate()
            process.wait(30)


def until_it_answers(server: Server) -> Server:
    """The server, once it has given a whole answer; then it stands still."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            body = {**server.body, "stream": False, "max_tokens": 1}
            del body["stream_options"]
            answer = httpx.post(server.url.join("/v1/chat/completions"), json=body, headers=server.headers, timeout=120)
            if answer.status_code == 200:
                server.stop()
                return server
            reason = answer.text[:500]
        except httpx.TransportError as error:
            reason = repr(error)
        if time.monotonic() > deadline:
            raise RuntimeError(f"{server.url} does not answer: {reason}")
        time.sleep(0.3)


def with_children(pids: list[int]) -> list[int]:
    """Processes and all that they have started."""
    found: list[int] = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            found += [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return found


def quiet() -> dict[str, str]:
    """The environment of every process."""
    return quiet_torch(os.environ) | {"HF_HUB_OFFLINE": "1"}


if __name__ == "__main__":
    main()
