"""A proxy that cuts connections: between a client and a real server, over real sockets."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


class CuttingProxy:
    """Passes requests on, and cuts each connection once so many bytes have come back."""

    def __init__(self, target: str, after_bytes: int) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._after_bytes = after_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept)
        self._pipes: list[threading.Thread] = []
        self.num_cuts = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread.start()

    def close(self) -> None:
        """Let nobody in any more."""
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
                for source, sink, limit in ((near, far, None), (far, near, self._after_bytes)):
                    pipe = threading.Thread(target=self._pass, args=(source, sink, limit))
                    pipe.start()
                    self._pipes.append(pipe)

    def _pass(self, source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        left = limit
        with contextlib.suppress(OSError):  # the other direction was cut
            while chunk := source.recv(65536 if left is None else left):
                sink.sendall(chunk)
                left = None if left is None else left - len(chunk)
                if left == 0:
                    self.num_cuts += 1
                    break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        if limit is not None:
            source.close()
            sink.close()


@contextmanager
def cutting_proxy(target: str, after_bytes: int) -> Iterator[CuttingProxy]:
    """The proxy, ready."""
    proxy = CuttingProxy(target, after_bytes)
    try:
        yield proxy
    finally:
        proxy.close()
