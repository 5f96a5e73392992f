"""Owns which ports the embedded servers use: chosen once, kept in the data folder, chosen again if taken."""

import json
import os
import random
import socket
from collections.abc import Iterable
from pathlib import Path

# Below the range from which Linux takes outgoing connections' ports (32768 and up), so that a chosen port is
# not lost to someone's client while the platform is down; above the registered ports that are in wide use.
_LOWEST, _HIGHEST = 20_000, 32_000


class Ports:
    """Ports by name, remembered in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ports: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, name: str, prefer: int | None = None) -> int:
        """The port of `name`: the remembered one while free, else the preferred one, else any free one."""
        for port in (self._ports.get(name), prefer):
            if port is not None and is_free(port) and not self._used_by_other(name, port):
                return self._remember(name, port)
        return self._remember(name, choose_free(set(self._ports.values())))

    def known(self, name: str) -> int:
        """The port at which it was started last.

        Raises: KeyError where it never was.
        """
        return self._ports[name]

    def forget(self, names: Iterable[str]) -> None:
        """Choose anew next time: somebody took a port between the check and the server's start."""
        for name in names:
            self._ports.pop(name, None)

    def _used_by_other(self, name: str, port: int) -> bool:
        return any(port == taken for other, taken in self._ports.items() if other != name)

    def _remember(self, name: str, port: int) -> int:
        if self._ports.get(name) != port:
            self._ports[name] = port
            partial = self._path.with_suffix(f".{os.getpid()}")
            partial.write_text(json.dumps(self._ports, indent=1))
            partial.replace(self._path)
        return port


def is_free(port: int) -> bool:
    """Whether nothing listens on the port of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections do not count
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose_free(excluded: set[int]) -> int:
    """A free port that is not excluded, drawn at random so that two starts at once rarely meet."""
    draw = random.SystemRandom()
    while True:
        port = draw.randrange(_LOWEST, _HIGHEST)
        if port not in excluded and is_free(port):
            return port
