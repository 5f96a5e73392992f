"""The bundled services of a trial: the real servers start with what the chart gives them, and keep strangers out.

Ports, folders and the host are put in place; the rest of the commands and files is what the chart says.
"""

import base64
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import boto3
import psycopg
import pytest
import redis
from botocore.config import Config
from botocore.exceptions import ClientError
from pydantic import SecretStr
from redis.backoff import NoBackoff
from redis.retry import Retry

from simorgh_cli.backing import postgres, seaweed, valkey
from simorgh_cli.backing.servers import BackingServers
from simorgh_shared.settings import StorageSettings
from simorgh_shared.storage.bucket import create
from tests.deploy.helm.rendering import Json, kinds, named, rendered
from tests.support.ports import free_port

_WITHIN_S = 60


def _secret(name: str) -> dict[str, str]:
    data = named(rendered("trial"), "Secret", f"simorgh-{name}")["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def _container(name: str) -> Json:
    (container,) = named(rendered("trial"), "StatefulSet", f"simorgh-{name}")["spec"]["template"]["spec"]["containers"]
    return container


@contextmanager
def _running(command: list[str], port: int, environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """The server, from when its port answers until the block ends."""
    variables = {"PATH": os.defpath, **environment}
    with log.open("wb") as output, subprocess.Popen(command, env=variables, stdout=output, stderr=output) as server:
        try:
            deadline = monotonic() + _WITHIN_S
            while not _is_listening(port):
                assert server.poll() is None, log.read_text("utf-8")
                assert monotonic() < deadline, log.read_text("utf-8")
                sleep(0.02)
            yield
        finally:
            server.kill()


def _is_listening(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


def test_postgresql_makes_the_roles_and_their_database(backing: BackingServers) -> None:
    """roles.sql as the image runs it: with psql, passwords from the environment."""
    login = backing.database_login
    script = named(rendered("trial"), "ConfigMap", "simorgh-postgresql")["data"]["roles.sql"]
    passwords = _secret("postgresql")
    wanted = {variable["name"]: variable for variable in _container("postgresql")["env"]}
    given = {
        name: passwords[variable["valueFrom"]["secretKeyRef"]["key"]] if "valueFrom" in variable else variable["value"]
        for name, variable in wanted.items()
    }
    # The server of the tests has roles of these names, and a database may be there: other names, the same statements.
    script = script.replace("simorgh_owner", "trial_owner").replace("DATABASE simorgh", "DATABASE trial")
    done = subprocess.run(
        [str(postgres._binary("psql")), "-v", "ON_ERROR_STOP=1", "--no-psqlrc", login.superuser_url],
        input=script,
        env={"PATH": os.defpath, **given, "SIMORGH_APP_ROLE": "trial_app"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for role, password, may_create in (("trial_owner", "owner-password", True), ("trial_app", "app-password", False)):
        address = f"postgresql://{role}:{passwords[password]}@127.0.0.1:{login.port}/trial"
        with psycopg.connect(address) as connection:
            if may_create:
                connection.execute("CREATE TABLE a_table (id int)")
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute("CREATE TABLE another (id int)")
    with psycopg.connect(login.superuser_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE trial")
        connection.execute("DROP ROLE trial_owner, trial_app")


def test_valkey_takes_its_configuration_and_asks_for_the_password(tmp_path: Path) -> None:
    port, secret = free_port(), _secret("valkey")
    assert _container("valkey")["command"] == ["valkey-server", "/etc/valkey/valkey.conf"]
    configuration = tmp_path / "valkey.conf"
    text = secret["valkey.conf"].replace("bind * -::*", "bind 127.0.0.1").replace("port 6379", f"port {port}")
    configuration.write_text(text.replace("dir /data", f"dir {tmp_path}"))
    with _running([str(valkey.binary()), str(configuration)], port, {}, tmp_path / "log"):
        address = secret["redis-url"].replace("simorgh-valkey:6379", f"127.0.0.1:{port}")
        with redis.Redis.from_url(address) as client:
            assert client.config_get("appendonly") == {"appendonly": "yes"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        with redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


def test_seaweedfs_serves_s3_to_who_has_the_key(tmp_path: Path) -> None:
    secret, container = _secret("seaweedfs"), _container("seaweedfs")
    ports = {name: free_port() for name in seaweed.PORT_NAMES if "admin" not in name}
    identities = tmp_path / "identities.json"
    identities.write_text(secret["identities.json"])
    here = {"/data": str(tmp_path), "/etc/seaweedfs/identities.json": str(identities), "0.0.0.0": "127.0.0.1"}
    words = [word for word in container["command"] if not word.startswith("-s3.port=8")]
    for there, place in here.items():
        words = [word.replace(there, place) for word in words]
    for name, port in ports.items():
        part, _, kind = name.removeprefix("s3_").partition("_")
        words.append(f"-{part}.port{'.grpc' if kind else ''}={port}")
    words[0] = str(seaweed.binary())
    port = ports["s3_s3"]
    with _running(words, port, {"HOME": str(tmp_path)}, tmp_path / "log"):
        _wait_until_healthy(port)

        def client(key: str) -> "boto3.client":
            return boto3.client(
                "s3",
                endpoint_url=f"http://127.0.0.1:{port}",
                aws_access_key_id=secret["access-key-id"],
                aws_secret_access_key=key,
                region_name="us-east-1",
                config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
            )

        friend, stranger = client(secret["secret-access-key"]), client("another")
        settings = StorageSettings(
            s3_endpoint_url=f"http://127.0.0.1:{port}",
            s3_access_key_id=secret["access-key-id"],
            s3_secret_access_key=SecretStr(secret["secret-access-key"]),
        )
        assert create(settings)  # as the Job does
        friend.put_object(Bucket="simorgh", Key="a", Body=b"text")
        assert friend.get_object(Bucket="simorgh", Key="a")["Body"].read() == b"text"
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            stranger.get_object(Bucket="simorgh", Key="a")
        friend.close()
        stranger.close()
    seaweed.remove_sockets(ports)


def _wait_until_healthy(port: int) -> None:
    """As the chart's probe asks."""
    probe = _container("seaweedfs")["readinessProbe"]["httpGet"]
    assert probe == {"path": "/healthz", "port": 8333}
    deadline = monotonic() + _WITHIN_S
    while not seaweed._answers(port):
        assert monotonic() < deadline
        sleep(0.05)


def test_the_filer_behind_the_storage_is_closed() -> None:
    """Its HTTP port asks for no key."""
    words = _container("seaweedfs")["command"]
    assert "-filer.disableHttp" in words
    assert [word for word in words if word.endswith("0.0.0.0")] == ["-s3.ip.bind=0.0.0.0"]


def test_every_bundled_service_keeps_its_data() -> None:
    for item in kinds(rendered("trial"), "StatefulSet"):
        (claim,) = item["spec"]["volumeClaimTemplates"]
        (container,) = item["spec"]["template"]["spec"]["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert claim["metadata"] == {"name": "data"}
        assert mounts["data"] in {"/var/lib/postgresql", "/data"}
    data = {variable["name"]: variable.get("value") for variable in _container("postgresql")["env"]}["PGDATA"]
    assert data == "/var/lib/postgresql/18/docker"  # where the image of 18 has it, below the volume
