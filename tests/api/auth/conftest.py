"""What these tests arrange that no user could: rows as the owner of the tables, and a Redis that is frozen."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from simorgh_cli.backing.servers import BackingServers
from tests.support.stack import Database


@pytest.fixture(scope="module")
def owner(database: Database) -> Iterator[sa.Engine]:
    """The role that owns the tables: it sets quotas and moves time."""
    engine = sa.create_engine(database.owner_url, poolclass=sa.NullPool)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackingServers]:
    """A Redis that may be frozen."""
    servers = BackingServers(tmp_path_factory.mktemp("fragile"), durable=False, only=["valkey"])
    servers.start()
    yield servers
    servers.stop()


@contextmanager
def frozen(servers: BackingServers) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end."""
    os.kill(servers.valkey.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(servers.valkey.pid, signal.SIGCONT)
