"""The real gateway as a child process on real servers, and signed-in clients of it.

- `gateway` (module): its address and the variables it runs on.
- `sign_up` (module): a function that makes an account and gives an HTTP client that is signed in as it.
"""

import secrets
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.environment import inherited
from tests.support.ports import free_port
from tests.support.stack import Bucket, Database

PASSWORD = "correct horse battery"
_READY_S = 30.0


@dataclass(frozen=True)
class Gateway:
    """A running gateway."""

    url: str
    pid: int
    environment: dict[str, str]
    log: Path


@dataclass(frozen=True)
class Account:
    """Someone who is signed in."""

    client: httpx.Client
    email: str
    project_id: str
    access_token: str
    refresh_token: str


@contextmanager
def running_gateway(folder: Path, **variables: str) -> Iterator[Gateway]:
    """A gateway that is told where its servers are, ready; it is ended at the end."""
    port, inference_port = free_port(), free_port()
    environment = {
        **inherited(),
        "SIMORGH_SIGNING_KEY": secrets.token_urlsafe(48),
        "SIMORGH_INTERNAL_KEY": secrets.token_urlsafe(24),
        "SIMORGH_MANIFEST_KEY": secrets.token_urlsafe(32),
        "SIMORGH_API_PORT": str(port),
        "SIMORGH_CORS_ORIGINS": "http://studio.example",
        "SIMORGH_INFERENCE_PORT": str(inference_port),
        "SIMORGH_INFERENCE_URL": f"http://127.0.0.1:{inference_port}",
        "SIMORGH_MAX_UPLOAD_BYTES": "100000",
        **variables,
    }
    log = folder / "gateway.log"
    script = Path(sysconfig.get_path("scripts")) / "simorgh-api"
    with log.open("wb") as file:
        child = subprocess.Popen([sys.executable, str(script)], env=environment, stderr=file, stdout=file)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, child, log)
        yield Gateway(url, child.pid, environment, log)
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired as error:
            child.kill()  # or every test after this one meets it
            child.wait()
            raise AssertionError(f"the gateway did not end:\n{log.read_text()[-4000:]}") from error


@pytest.fixture(scope="module")
def gateway(
    database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """The gateway, ready."""
    folder = tmp_path_factory.mktemp("gateway")
    servers = {"SIMORGH_DATABASE_URL": database.url, "SIMORGH_REDIS_URL": redis_url} | bucket.environment()
    with running_gateway(folder, **servers) as made:
        yield made


@pytest.fixture(scope="module")
def sign_up(gateway: Gateway) -> Iterator[Callable[[], Account]]:
    """Makes accounts of one's own."""
    clients: list[httpx.Client] = []

    def make() -> Account:
        clients.append(httpx.Client(base_url=gateway.url, timeout=20))
        return register(clients[-1])

    yield make
    for client in clients:
        client.close()


def register(client: httpx.Client) -> Account:
    """Make an account and sign the client in as it."""
    email = f"user-{secrets.token_hex(4)}@example.test"
    answer = client.post("/api/auth/register", json={"email": email, "password": PASSWORD, "name": "Sara"})
    assert answer.status_code == 201, answer.text
    data = answer.json()["data"]
    client.headers["authorization"] = f"Bearer {data['access_token']}"
    return Account(client, email, data["project_id"], data["access_token"], data["refresh_token"])


def _wait_until_ready(url: str, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    with httpx.Client(timeout=5) as client:
        while child.poll() is None and time.monotonic() < deadline:
            try:
                # By its own socket: another process may have been given the same port meanwhile, and answer there.
                if client.get(f"{url}/readyz").status_code == 200 and _listens(child.pid):
                    return
            except httpx.TransportError:
                time.sleep(0.05)
    raise AssertionError(f"the gateway did not become ready:\n{log.read_text()[-4000:]}")


def _listens(pid: int) -> bool:
    try:
        return any(one.status == psutil.CONN_LISTEN for one in psutil.Process(pid).net_connections("tcp"))
    except psutil.NoSuchProcess:
        return False
