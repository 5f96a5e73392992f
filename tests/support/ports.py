"""Free ports of the loopback interface."""

import os
import random
import socket

_FIRST, _OF_WORKER = 10_000, 1_200
"""Below what the kernel gives connections and servers that ask for any port: none of them comes in between."""
_dice = random.Random(os.urandom(8))


def free_port() -> int:
    """A port that nobody has now, of those that only this worker of pytest-xdist takes.

    A server binds it some seconds later. Two workers were once given the same one, and one asked the other's gateway.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = _FIRST + worker % 8 * _OF_WORKER + _dice.randrange(_OF_WORKER)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
