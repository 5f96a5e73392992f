"""A signed-in client for each module, and a gateway that takes large files in a temporary folder of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.api.datasets.sending import io_engine
from tests.support.engine import Engine
from tests.support.gateway import Account, Gateway, running_gateway
from tests.support.stack import Bucket, Database

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
    temporary = folder / "tmp"
    temporary.mkdir()
    same = {name: value for name, value in gateway.environment.items() if not name.endswith("_PORT")}
    more = same | {"SIMORGH_MAX_UPLOAD_BYTES": str(ROOMY_BYTES), "TMPDIR": str(temporary)}
    with running_gateway(folder, **more) as made, httpx.Client(base_url=made.url, timeout=60) as client:
        client.headers["authorization"] = sign_up().client.headers["authorization"]
        yield RoomyGateway(client, made.pid, temporary, made.log)


@pytest.fixture(scope="module")
def engine(
    gateway: Gateway, database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Dispatcher and worker beside the gateway."""
    with io_engine(database, redis_url, bucket, tmp_path_factory.mktemp("engine")) as made:
        yield made
