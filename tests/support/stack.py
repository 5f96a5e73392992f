"""Real servers for the tests: one set for each test process; a database, broker and bucket of one's own.

- `backing`: the servers (session). A test that kills one starts its own `BackingServers` instead.
- `database` (module) and `fresh_database` (function): a migrated database that nobody else uses.
- `redis_url` (module): a numbered Redis database, empty. Shared by no other module.
- `bucket` (module): an empty S3 bucket with what a client needs to reach it.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import psycopg
import pytest
import redis
from botocore.config import Config
from psycopg import sql

from simorgh_cli.backing import postgres
from simorgh_cli.backing.servers import BackingServers
from simorgh_shared.db import migrate

_TEMPLATE = "migrated"
_NUM_REDIS_DATABASES = 64
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Database:
    """A migrated database of one's own."""

    name: str
    url: str
    """Application role, SQLAlchemy form."""
    owner_url: str
    """Owner role, SQLAlchemy form: for arranging what the application may not."""
    app_role: str
    superuser_url: str
    """Libpq form, database `postgres`: for faults such as pg_terminate_backend."""


@dataclass(frozen=True)
class Bucket:
    """An S3 bucket of one's own."""

    name: str
    endpoint_url: str
    access_key_id: str
    secret_access_key: str
    region: str

    def environment(self) -> dict[str, str]:
        """The variables by which the services find it."""
        return {
            "SIMORGH_S3_ENDPOINT_URL": self.endpoint_url,
            "SIMORGH_S3_ACCESS_KEY_ID": self.access_key_id,
            "SIMORGH_S3_SECRET_ACCESS_KEY": self.secret_access_key,
            "SIMORGH_S3_BUCKET": self.name,
            "SIMORGH_S3_REGION": self.region,
        }


@pytest.fixture(scope="session")
def backing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackingServers]:
    """The three servers, without fsync: here processes die, never the machine."""
    servers = BackingServers(tmp_path_factory.mktemp("backing"), durable=False)
    servers.start()
    yield servers
    servers.stop()


@pytest.fixture(scope="session")
def new_database(backing: BackingServers) -> Callable[[], Database]:
    """A function that makes another migrated database: a copy of one that was migrated once."""
    login = backing.database_login
    _create_database(login, _TEMPLATE, template="template0")
    migrate.upgrade(login.owner_url(_TEMPLATE), postgres.APP_ROLE)

    def make() -> Database:
        name = f"test_{next(_numbers)}"
        _create_database(login, name, template=_TEMPLATE)
        return Database(name, login.app_url(name), login.owner_url(name), postgres.APP_ROLE, login.superuser_url)

    return make


@pytest.fixture(scope="module")
def database(new_database: Callable[[], Database]) -> Iterator[Database]:
    """A migrated database for the module."""
    with _dropped_at_the_end(new_database()) as made:
        yield made


@pytest.fixture
def fresh_database(new_database: Callable[[], Database]) -> Iterator[Database]:
    """A migrated database for one test."""
    with _dropped_at_the_end(new_database()) as made:
        yield made


@pytest.fixture(scope="module")
def redis_url(backing: BackingServers) -> str:
    """An empty numbered Redis database for the module."""
    number = next(_numbers) % _NUM_REDIS_DATABASES
    url = f"{backing.endpoints().redis_url.rpartition('/')[0]}/{number}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture(scope="module")
def bucket(backing: BackingServers) -> Iterator[Bucket]:
    """An empty bucket for the module, removed with all in it."""
    at = backing.endpoints()
    name = f"test-{os.getpid()}-{next(_numbers)}"
    made = Bucket(name, at.s3_endpoint_url, at.s3_access_key_id, at.s3_secret_access_key, at.s3_region)
    resource = boto3.resource(
        "s3",
        endpoint_url=made.endpoint_url,
        aws_access_key_id=made.access_key_id,
        aws_secret_access_key=made.secret_access_key,
        region_name=made.region,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    s3_bucket = resource.create_bucket(Bucket=name)
    yield made
    s3_bucket.objects.all().delete()  # a bucket takes a volume of the server's limited number
    s3_bucket.delete()
    resource.meta.client.close()


@pytest.fixture
def private_folder(tmp_path: Path) -> Path:
    """A folder below one that only its owner can enter."""
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o700)
    return locked / "inner"


def _create_database(login: postgres.Login, name: str, template: str) -> None:
    with psycopg.connect(login.superuser_url, autocommit=True) as connection:
        postgres.create_database(connection, name, template)


@contextmanager
def _dropped_at_the_end(database: Database) -> Iterator[Database]:
    yield database
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database.name)))
