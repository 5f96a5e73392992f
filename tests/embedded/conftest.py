"""The whole platform as real processes, and people who use the command line on it."""

import itertools
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.embedded.program import Simorgh
from tests.support.engine import Engine, running_engine
from tests.support.gateway import Gateway
from tests.support.stack import Bucket, Database

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def working_platform(
    gateway: Gateway, database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Gateway, dispatcher, worker and inference server, ready."""
    folder = tmp_path_factory.mktemp("platform")
    with running_engine(database, redis_url, bucket, folder) as made:
        made.more_environment = {k: v for k, v in gateway.environment.items() if k.startswith("SIMORGH_IN")}
        made.more_environment["SIMORGH_CACHE_DIR"] = str(folder / "cache")
        made.start_dispatcher()
        made.start_worker("train.cpu")
        made.start("simorgh_inference.main")
        url = gateway.environment["SIMORGH_INFERENCE_URL"]
        made.wait(lambda: _answers(f"{url}/readyz"), "inference answers", within_s=30)
        yield made


@pytest.fixture
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simorgh]:
    """Someone who is signed in nowhere."""
    made = Simorgh(tmp_path_factory.mktemp("home"))
    yield made
    made.leave()


@pytest.fixture(scope="module")
def new_user(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Simorgh]]:
    """A function that makes someone who has signed up at the gateway."""
    users: list[Simorgh] = []

    def make() -> Simorgh:
        users.append(Simorgh(tmp_path_factory.mktemp("home")))
        users[-1].run("login", "--url", gateway.url, "--email", f"sara-{next(_numbers)}@example.test")
        return users[-1]

    yield make
    for made in users:
        made.leave()


@pytest.fixture(scope="module")
def user(new_user: Callable[[], Simorgh]) -> Simorgh:
    """Someone who has signed up."""
    return new_user()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False
