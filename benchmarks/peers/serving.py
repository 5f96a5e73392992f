"""What `make bench-serve` runs beside the servers: the engine alone, and the client that asks all of them.

    python benchmarks/peers/serving.py engine CONVERTED PRECISION
    python benchmarks/peers/serving.py client

Both read a task a line (JSON) and answer with a line.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Task = Mapping[str, Any]
Answer = dict[str, Any]


def engine(converted: Path, precision: str) -> Callable[[Task], Answer]:
    """openvino-genai's continuous batching in this process: token ids in and out, nothing else."""
    from simorgh_inference.engine import openvino_pipeline

    pipeline = openvino_pipeline.load(converted, precision, num_blocks=512, max_sequences=64)
    numbers = iter(range(1, 1 << 30))

    def generate(task: Task) -> Answer:
        begun, first_s = time.perf_counter(), []
        for _ in range(task["requests_each"]):
            asked = time.perf_counter()
            handles = [
                openvino_pipeline.add(pipeline, next(numbers), task["prompt_ids"], task["max_tokens"])
                for _ in range(task["clients"])
            ]
            counts = [0] * len(handles)
            while pipeline.has_non_finished_requests():
                pipeline.step()
                for place, handle in enumerate(handles):
                    num_new = len(list(openvino_pipeline.read(handle)))
                    if num_new and not counts[place]:
                        first_s.append(time.perf_counter() - asked)
                    counts[place] += num_new
        tokens = task["requests_each"] * sum(counts)
        return {"tokens_per_s": tokens / (time.perf_counter() - begun), "first_s": sorted(first_s)}

    return generate


class _Stream(asyncio.Protocol):
    """One client: sends its request, and looks no closer at what comes than it must."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._begun = time.perf_counter()
        self._received = bytearray()
        self.first_s: float | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        # The first event may name the role alone, and come before any token.
        if self.first_s is None and _has_text(self._received):
            self.first_s = time.perf_counter() - self._begun
        if b"[DONE]" in data:
            self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    @property
    def num_tokens(self) -> int:
        """As the server counts them.

        Raises: RuntimeError for an answer that is none.
        """
        _, found, rest = self._received.rpartition(b'"completion_tokens":')
        if not found:
            raise RuntimeError(bytes(self._received[:1_000]).decode(errors="replace"))
        return int(rest.lstrip().split(b",")[0].split(b"}")[0])


def _has_text(received: bytearray) -> bool:
    return any(
        not part.lstrip().startswith((b'""', b"null"))
        for part in bytes(received).split(b'"content":')[1:]
        if len(part) > 4
    )


def client() -> Callable[[Task], Answer]:
    """Clients of a server that streams, all in this one process."""
    return lambda task: asyncio.run(_ask(task))


async def _ask(task: Task) -> Answer:
    body = json.dumps(task["body"]).encode()
    head = [f"POST /v1/chat/completions HTTP/1.1\r\nHost: {task['host']}:{task['port']}"]
    head += [f"{name}: {value}" for name, value in task.get("headers", {}).items()]
    head += ["Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close", "\r\n"]
    request = "\r\n".join(head).encode() + body
    begun, used = time.perf_counter(), _processor_s()
    streams = await asyncio.gather(*(_one_after_the_other(task, request) for _ in range(task["clients"])))
    seconds = time.perf_counter() - begun
    ended = [stream for of_client in streams for stream in of_client]
    return {
        "tokens_per_s": sum(stream.num_tokens for stream in ended) / seconds,
        "first_s": sorted(stream.first_s or seconds for stream in ended),
        "client_cores": (_processor_s() - used) / seconds,
    }


async def _one_after_the_other(task: Task, request: bytes) -> list[_Stream]:
    loop, ended = asyncio.get_running_loop(), []
    for _ in range(task["requests_each"]):
        _, stream = await loop.create_connection(lambda: _Stream(request), task["host"], task["port"])
        await stream.ended
        ended.append(stream)
    return ended


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Serve until stdin ends."""
    work = client() if sys.argv[1] == "client" else engine(Path(sys.argv[2]), sys.argv[3])
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(work(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
