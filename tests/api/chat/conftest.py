"""What the tests of chatting share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.api.chat.world import World, running_world
from tests.support.gateway import Account, Gateway
from tests.support.stack import Bucket, Database


@pytest.fixture(scope="module")
def silent_world(
    gateway: Gateway,
    database: Database,
    redis_url: str,
    bucket: Bucket,
    model_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """A registry and storage; nobody listens where the gateway looks for inference."""
    folder = tmp_path_factory.mktemp("world")
    with running_world(gateway, database, redis_url, bucket, model_folder, folder) as made:
        yield made


@pytest.fixture(scope="module")
def world(silent_world: World) -> World:
    """The same with the inference server."""
    silent_world.start_inference()
    return silent_world


@pytest.fixture(scope="module")
def account(world: World, sign_up: Callable[[], Account]) -> Account:
    """Someone with one model, `noise`."""
    made = sign_up()
    world.add_model(made.project_id)
    return made
