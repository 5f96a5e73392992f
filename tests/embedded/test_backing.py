"""The embedded PostgreSQL, Valkey and SeaweedFS."""

import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import psutil
import psycopg
import pytest
import redis
from botocore.config import Config

from simorgh_cli.backing.ports import Ports, is_free
from simorgh_cli.backing.servers import BackingServers, Endpoints
from simorgh_cli.children import Child, session_members


def plain(url: str) -> str:
    return url.replace("+psycopg", "")


def s3_client(at: Endpoints):
    return boto3.client(
        "s3",
        endpoint_url=at.s3_endpoint_url,
        aws_access_key_id=at.s3_access_key_id,
        aws_secret_access_key=at.s3_secret_access_key,
        region_name=at.s3_region,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


def write_everywhere(at: Endpoints, value: str) -> None:
    with psycopg.connect(plain(at.database_owner_url)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])
    with redis.Redis.from_url(at.redis_url) as broker:
        broker.set("kept", value)
    s3 = s3_client(at)
    s3.put_object(Bucket=at.s3_bucket, Key="kept", Body=value.encode())
    s3.close()


def read_everywhere(at: Endpoints) -> tuple[str, str, str]:
    with psycopg.connect(plain(at.database_owner_url)) as connection:
        (row,) = connection.execute("SELECT max(value) FROM kept").fetchone()
    with redis.Redis.from_url(at.redis_url, decode_responses=True) as broker:
        cached = broker.get("kept")
    s3 = s3_client(at)
    stored = s3.get_object(Bucket=at.s3_bucket, Key="kept")["Body"].read().decode()
    s3.close()
    return row, cached, stored


def processes_of(folder: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or [])]


@pytest.fixture(scope="class")
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackingServers]:
    servers = BackingServers(tmp_path_factory.mktemp("own"))
    servers.start()
    yield servers
    servers.stop()


class TestStart:
    def test_data_survives_stop_and_start_below_a_folder_only_its_owner_can_enter(self, private_folder: Path) -> None:
        """R-DEPLOY-1."""
        servers = BackingServers(private_folder)
        first = servers.start()
        write_everywhere(first, "یک")
        servers.stop()
        assert processes_of(private_folder) == []

        again = BackingServers(private_folder)
        started_at = time.monotonic()
        second = again.start()
        took_s = time.monotonic() - started_at
        try:
            assert second == first  # same ports, same passwords
            assert read_everywhere(second) == ("یک", "یک", "یک")
            assert took_s < 15
        finally:
            again.stop()

    def test_only_the_owner_can_read_passwords(self, own_servers: BackingServers) -> None:
        for name in ("secrets.json", "valkey/valkey.conf", "seaweed/identities.json"):
            mode = (own_servers.data_dir / name).stat().st_mode
            assert stat.S_IMODE(mode) == 0o600, name
        shown = [" ".join(psutil.Process(child.pid).cmdline()) for child in own_servers.children]
        kept = own_servers.secrets
        for secret in ("postgres_superuser_password", "valkey_password", "s3_secret_access_key"):
            assert not any(kept.get(secret) in line for line in shown)

    def test_a_wrong_password_opens_nothing(self, own_servers: BackingServers) -> None:
        at = own_servers.endpoints()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(plain(at.database_url).replace(at.database_url.split(":")[2].split("@")[0], "x"))
        with (
            redis.Redis(port=int(at.redis_url.rsplit(":", 1)[1].split("/")[0])) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()

    def test_servers_listen_on_the_loopback_interface_only(self, own_servers: BackingServers) -> None:
        for child in own_servers.children:
            listening = [
                connection.laddr.ip
                for process in session_members(child.pid)
                for connection in process.net_connections("tcp")
                if connection.status == psutil.CONN_LISTEN
            ]
            assert set(listening) == {"127.0.0.1"}, child.name

    def test_database_is_utf8_and_the_application_role_owns_nothing(self, own_servers: BackingServers) -> None:
        at = own_servers.endpoints()
        with psycopg.connect(plain(at.database_url)) as connection:
            assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
            assert connection.execute("SHOW password_encryption").fetchone() == ("scram-sha-256",)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("CREATE TABLE forbidden (value text)")


class TestCrash:
    @pytest.mark.parametrize("name", ["postgres", "valkey", "seaweed"])
    def test_killed_server_comes_back_with_what_it_acknowledged(self, own_servers: BackingServers, name: str) -> None:
        at = own_servers.endpoints()
        write_everywhere(at, "پیش از مرگ")
        child: Child = next(child for child in own_servers.children if child.name == name)
        os.kill(child.pid, signal.SIGKILL)
        child.restart()
        assert read_everywhere(at) == ("پیش از مرگ",) * 3


class TestPorts:
    def test_taken_port_is_replaced_and_the_new_one_remembered(self, tmp_path: Path) -> None:
        import socket

        path = tmp_path / "ports.json"
        first = Ports(path).get("valkey")
        with socket.socket() as other:
            other.bind(("127.0.0.1", first))
            other.listen()
            second = Ports(path).get("valkey")
        assert second != first
        assert is_free(first)
        assert Ports(path).get("valkey") == second

    def test_preferred_port_is_taken_when_free(self, tmp_path: Path) -> None:
        ports = Ports(tmp_path / "ports.json")
        preferred = ports.get("probe")
        ports.forget(["probe"])
        assert ports.get("api", prefer=preferred) == preferred


class TestFixtures:
    def test_database_is_migrated_and_used_by_the_application_role(self, database) -> None:
        with psycopg.connect(plain(database.url)) as connection:
            assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (0,)

    def test_bucket_is_empty_and_writable(self, bucket) -> None:
        s3 = boto3.client(
            "s3",
            endpoint_url=bucket.endpoint_url,
            aws_access_key_id=bucket.access_key_id,
            aws_secret_access_key=bucket.secret_access_key,
            region_name=bucket.region,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        assert s3.list_objects_v2(Bucket=bucket.name)["KeyCount"] == 0
        s3.put_object(Bucket=bucket.name, Key="a", Body=b"1")
        s3.close()

    def test_redis_is_empty_and_answers(self, redis_url) -> None:
        with redis.Redis.from_url(redis_url) as client:
            assert client.dbsize() == 0
