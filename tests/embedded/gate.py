"""A gate before a real server: it lets so many bytes of requests in, then holds them back."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


class Gate:
    """Passes on what comes, as far as it was allowed."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._changed = threading.Condition()
        self._left: float = 0
        self._num_held = 0
        self._pipes: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._accept)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread.start()

    @property
    def is_holding(self) -> bool:
        """Whether somebody waits before it."""
        return self._num_held > 0 and self._left <= 0

    def allow(self, num_bytes: float) -> None:
        """Let so many more bytes in; what was left from before is void."""
        with self._changed:
            self._left = num_bytes
            self._changed.notify_all()

    def close(self) -> None:
        """Let everything through that is there, and nobody new."""
        self.allow(float("inf"))
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for pipe in self._pipes:
            pipe.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was shut down
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                ends = [
                    threading.Thread(target=self._pass, args=both) for both in ((near, far, True), (far, near, False))
                ]
                for pipe in ends:
                    pipe.start()
                self._pipes += ends
                closing = threading.Thread(target=_close, args=(ends, near, far))
                closing.start()
                self._pipes.append(closing)

    def _pass(self, source: socket.socket, sink: socket.socket, is_request: bool) -> None:
        with contextlib.suppress(OSError):  # the other direction has ended
            while chunk := source.recv(65_536):
                if is_request:
                    self._wait(len(chunk))
                sink.sendall(chunk)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _wait(self, num_bytes: int) -> None:
        with self._changed:
            self._num_held += 1
            self._changed.wait_for(lambda: self._left > 0)
            self._num_held -= 1
            self._left -= num_bytes


def _close(pipes: list[threading.Thread], *ends: socket.socket) -> None:
    for pipe in pipes:
        pipe.join()
    for end in ends:
        end.close()


@contextmanager
def gate_before(target: str) -> Iterator[Gate]:
    """The gate, closed."""
    gate = Gate(target)
    try:
        yield gate
    finally:
        gate.close()
