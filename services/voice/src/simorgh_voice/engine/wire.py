"""The child's end of the socket: reads requests beside the work, and ends the child with its parent."""

import json
import os
import queue
import socket
import threading
from collections.abc import Mapping
from typing import Any

from simorgh_voice.engine.protocol import ALIVE_INTERVAL_S


class Wire:
    """Lines out from any thread; requests in, in their order."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._cancelled: set[str] = set()
        self._working_on: str | None = None
        threading.Thread(target=self._read, name="wire", daemon=True).start()
        threading.Thread(target=self._say_alive, name="alive", daemon=True).start()

    def next_request(self) -> dict[str, Any]:
        """Wait for the next one; from then on it is told that it is worked on."""
        self._working_on = None
        request = self._requests.get()
        self._working_on = str(request["id"])
        return request

    def is_cancelled(self, request_id: str) -> bool:
        """Whether the worker does not want it any more."""
        return request_id in self._cancelled

    def forget(self, request_id: str) -> None:
        """It has ended."""
        self._cancelled.discard(request_id)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one line."""
        line = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._sending:
            self._connection.sendall(line)

    def tell_models(self, num_models: int, num_bytes: int) -> None:
        """Say what is loaded now."""
        self.send({"models": {"num": num_models, "bytes": num_bytes}})

    def _read(self) -> None:
        try:
            with self._connection.makefile("rb") as lines:
                for line in lines:
                    message = json.loads(line)
                    if message["op"] == "cancel":
                        self._cancelled.add(message["id"])
                    else:
                        self._requests.put(message)
        finally:
            os._exit(0)  # the worker has let go, whatever is being worked on

    def _say_alive(self) -> None:
        """From a thread of its own: it tells long work from silence, and cannot tell work from a loop that hangs."""
        rest = threading.Event()
        while not rest.wait(ALIVE_INTERVAL_S):
            request_id = self._working_on
            if request_id is not None:
                self.send({"id": request_id, "type": "alive"})
