"""The processes take the environments that the chart gives them, with nothing else set, and answer its probes."""

import os
import subprocess
import sysconfig
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from time import monotonic, sleep
from urllib.error import HTTPError

import pytest
from pydantic import ValidationError

from simorgh_api.settings import ApiSettings
from tests.deploy.helm.rendering import Json, pods, rendered
from tests.deploy.helm.test_processes import SETTINGS
from tests.support.ports import free_port
from tests.support.stack import Bucket, Database

SECRETS = {
    "database-url": "postgresql+psycopg://simorgh_app:word@database:5432/simorgh",
    "database-owner-url": "postgresql+psycopg://simorgh_owner:word@database:5432/simorgh",
    "redis-url": "redis://:word@broker:6379/0",
    "access-key-id": "id",
    "secret-access-key": "word",
    "signing-key": "s" * 32,
    "internal-key": "i" * 32,
    "manifest-key": "bWFuaWZlc3Qga2V5IG9mIHRoaXJ0eS10d28gYnl0ZXM=",
}


def _environment(container: Json, secrets: Mapping[str, str]) -> dict[str, str]:
    """As the kubelet would make it: optional keys that a Secret lacks are left out."""
    environment = {}
    for variable in container["env"]:
        source = variable.get("valueFrom", {})
        if "value" in variable:
            environment[variable["name"]] = variable["value"]
        elif "fieldRef" in source:
            environment[variable["name"]] = "node-1"
        elif "resourceFieldRef" in source:
            environment[variable["name"]] = container["resources"]["limits"].get("cpu", "2")
        elif source["secretKeyRef"]["key"] in secrets:
            environment[variable["name"]] = secrets[source["secretKeyRef"]["key"]]
        else:
            assert source["secretKeyRef"].get("optional"), variable["name"]
    return environment


def _container(values: str, component: str) -> Json:
    (found,) = [pod.spec["containers"][0] for pod in pods(rendered(values)) if pod.component == component]
    container: Json = found
    return container


@pytest.mark.parametrize("values", ["everything", "mirrored"])
def test_settings_are_read_from_it(values: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every value has the form that its setting wants, in production."""
    processes = [pod for pod in pods(rendered(values)) if pod.kind != "StatefulSet"]
    for name in list(os.environ):
        if name.startswith("SIMORGH_"):
            monkeypatch.delenv(name)
    for pod in processes:
        (container,) = pod.spec["containers"]
        with monkeypatch.context() as alone:
            for name, value in _environment(container, SECRETS).items():
                alone.setenv(name, value)
            for settings in SETTINGS[container["command"][0]]:
                assert settings().model_dump()["environment"] == "production"


def test_a_wrong_form_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: as a Service named simorgh-api would make it."""
    for name, value in _environment(_container("external", "api"), SECRETS).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SIMORGH_API_PORT", "tcp://10.0.0.1:8000")
    with pytest.raises(ValidationError, match="api_port"):
        ApiSettings()


def test_the_dispatcher_answers_the_probes_with_it(
    database: Database, bucket: Bucket, redis_url: str, tmp_path: Path
) -> None:
    """Its command, its variables and no others; ports and addresses are those of the test."""
    container = _container("external", "dispatcher")
    port = free_port()
    secrets = {
        "database-url": database.url,
        "redis-url": redis_url,
        "access-key-id": bucket.access_key_id,
        "secret-access-key": bucket.secret_access_key,
    }
    here = {
        "SIMORGH_METRICS_PORT": str(port),
        "SIMORGH_METRICS_HOST": "127.0.0.1",
        "SIMORGH_S3_ENDPOINT_URL": bucket.endpoint_url,
        "SIMORGH_S3_BUCKET": bucket.name,
        "SIMORGH_S3_REGION": bucket.region,
        "HOME": str(tmp_path),
    }
    environment = _environment(container, secrets) | here | {"PATH": os.defpath}
    program = Path(sysconfig.get_path("scripts")) / container["command"][0]
    command = [program, *container["command"][1:]]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                asked = container[probe]["httpGet"]
                assert asked["port"] == container["ports"][0]["name"]
                _wait_for(f"http://127.0.0.1:{port}{asked['path']}", process, tmp_path / "log")
        finally:
            process.terminate()
            assert process.wait(30) == 0


def _wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                assert answer.status == HTTPStatus.OK
                return
        except (OSError, HTTPError):
            assert process.poll() is None, log.read_text("utf-8")
            assert monotonic() < deadline, log.read_text("utf-8")
            sleep(0.05)
