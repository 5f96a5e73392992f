"""Entry of the engine child: `python -m simorgh_inference.engine --model-dir DIR --socket PATH`."""

import argparse
import gc
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from simorgh_inference.engine.outbox import Outbox
from simorgh_inference.engine.protocol import PromptRefusedError
from simorgh_inference.engine.warm_up import warm_up
from simorgh_shared.child.entry import die_with_parent

# What transformers raises for a folder that it cannot load, now or ever. RuntimeError is not among them: it is also
# what torch raises where memory is short.
_UNFIT = (ValueError, KeyError, AttributeError, NotImplementedError, ImportError, OSError)


def main() -> int:
    """Serve one model to the one parent that connects; end with it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--converted", type=Path, help="the model for OpenVINO; without it transformers serves")
    parser.add_argument("--precision", choices=("f32", "bf16", "int8"), default="f32")
    parser.add_argument("--cache-bytes", type=int, default=1 << 30, help="for the keys and values of all requests")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu", help="auto: a GPU if torch has one")
    parser.add_argument("--task", choices=("generate", "embed"), default="generate")
    arguments = parser.parse_args()
    die_with_parent()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(arguments.socket)
        try:
            engine = _load(arguments)
        except _UNFIT as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the machine's fault: another start may help
            _send(connection, {"unfit": _reason(error, arguments.model_dir)})
            return 0
        if arguments.task == "generate":
            warm_up(engine)
        gc.freeze()  # torch and transformers: a collection that goes through them holds all requests for 0.1 s
        _send(connection, {"ready": {**engine.ready, "pid": os.getpid()}})
        _serve(engine, connection)
    return 0


def _load(arguments: argparse.Namespace) -> Any:
    # Imported here because torch and OpenVINO read the environment when they are loaded, and one is enough.
    if arguments.task == "embed":
        from simorgh_inference.engine.embedding_engine import EmbeddingEngine

        return EmbeddingEngine(arguments.model_dir, _device(arguments.device))
    if arguments.converted is not None:
        from simorgh_inference.engine.openvino_engine import OpenvinoEngine

        return OpenvinoEngine(arguments.model_dir, arguments.converted, arguments.precision, arguments.cache_bytes)
    device = _device(arguments.device)
    if device != "cpu":
        from simorgh_inference.engine.batched_engine import BatchedEngine

        return BatchedEngine(arguments.model_dir, device, arguments.precision, arguments.cache_bytes)
    from simorgh_inference.engine.transformers_engine import TransformersEngine

    return TransformersEngine(arguments.model_dir)


def _device(wanted: str) -> str:
    """Where torch computes. Whoever wants a GPU by name hears that there is none when it is first used."""
    import torch

    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def _reason(error: Exception, folder: Path) -> str:
    """Why the model cannot be loaded, in its first line, without the places of this machine."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].replace(str(folder), "the folder")[:300].rstrip(". ")


def _serve(engine: Any, connection: socket.socket) -> None:
    """Take what has come, make a step, send what it gave: until the parent closes the socket."""
    inbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(connection, inbox), daemon=True).start()

    def send(pieces: Sequence[Any]) -> None:
        _send(connection, {"step": pieces, "cache": engine.cache_use})

    outbox = Outbox(send, time.monotonic)
    while True:
        pieces = []
        while engine.is_idle or not inbox.empty():
            message = inbox.get()
            if message is None:
                return
            if message["op"] == "cancel":
                engine.cancel(message["id"])
                outbox.forget(message["id"])
                send([])  # there may be no step that tells what the cache has got back
            else:
                # Said at once and not with the step, which may be long: what the front does not hear of it sends again.
                _send(connection, {"step": [{"id": message["id"], "taken": True}]})
                refused = _add(engine, message)
                if refused is not None:
                    pieces.append(refused)
                    break
        outbox.add([*pieces, *engine.step()])


def _add(engine: Any, message: dict[str, Any]) -> Any:
    try:
        return engine.add(message)
    except Exception as error:  # a template can raise anything: it costs its own request only
        reason = str(error) if isinstance(error, PromptRefusedError) else f"{type(error).__name__}: {error}"
        params = {"reason": reason[:300]}
        return {"id": message["id"], "finish": "error", "error": {"code": "prompt_refused", "params": params}}


def _read(connection: socket.socket, inbox: "queue.SimpleQueue[dict[str, Any] | None]") -> None:
    with connection.makefile("rb") as lines:
        for line in lines:
            inbox.put(msgspec.json.decode(line))
    inbox.put(None)


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.sendall(msgspec.json.encode(message) + b"\n")


if __name__ == "__main__":
    sys.exit(main())
