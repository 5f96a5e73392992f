"""A signed-in client for each module, and a gateway that takes large files in a temporary folder of its own."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.api.datasets.uploading import wait_until
from tests.support.gateway import Account, Gateway

ROOMY_BYTES = 95_000_000


@dataclass(frozen=True)
class RoomyGateway:
    """A gateway that takes files of up to ROOMY_BYTES, and someone who is signed in there."""

    client: httpx.Client
    pid: int
    temporary: Path
    log: Path


@pytest.fixture(scope="module")
def client(sign_up: Callable[[], Account]) -> httpx.Client:
    """Someone in a project of one's own."""
    return sign_up().client


@pytest.fixture(scope="module")
def roomy(
    gateway: Gateway, sign_up: Callable[[], Account], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RoomyGateway]:
    """A second gateway on the same servers."""
    folder = tmp_path_factory.mktemp("roomy")
    temporary, log = folder / "tmp", folder / "gateway.log"
    temporary.mkdir()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    environment = gateway.environment | {
        "SIMORGH_API_PORT": str(port),
        "SIMORGH_MAX_UPLOAD_BYTES": str(ROOMY_BYTES),
        "TMPDIR": str(temporary),
    }
    script = Path(sys.executable).with_name("simorgh-api")
    with log.open("wb") as output:
        child = subprocess.Popen([sys.executable, str(script)], env=environment, stdout=output, stderr=output)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_until(lambda: child.poll() is not None or _is_ready(client), "the gateway is ready", 30)
            assert child.poll() is None, log.read_text()[-4000:]
            client.headers["authorization"] = sign_up().client.headers["authorization"]
            yield RoomyGateway(client, child.pid, temporary, log)
    finally:
        child.terminate()
        child.wait(20)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False
