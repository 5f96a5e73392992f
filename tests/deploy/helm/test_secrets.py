"""Passwords and keys are made once, are never the same twice, and stay when the release is upgraded (R-DEPLOY-3)."""

import base64
import copy
import tempfile
from pathlib import Path

import yaml
from pydantic import SecretStr

from simorgh_api.settings import MIN_SIGNING_KEY_BYTES, ApiSettings, manifest_key
from tests.deploy.helm.api_server import api_server
from tests.deploy.helm.rendering import (
    CHART,
    NAMESPACE,
    RELEASE,
    Json,
    helm,
    kinds,
    named,
    objects_of,
    pods,
    render,
    rendered,
)
from tests.deploy.helm.value_sets import BUNDLED, VALUE_SETS


def _data(objects: list[Json]) -> dict[str, dict[str, str]]:
    return {item["metadata"]["name"]: item["data"] for item in kinds(objects, "Secret")}


def _plain(objects: list[Json], name: str) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in _data(objects)[name].items()}


def _render_against(address: str) -> list[Json]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "values.yaml"
        file.write_text(yaml.safe_dump(BUNDLED))
        done = helm(
            "template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", file,
            "--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", address,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return objects_of(done.stdout)


def test_two_installations_have_nothing_in_common() -> None:
    """No password is a default."""
    one, other = _data(rendered("trial")), _data(render(VALUE_SETS["trial"]))
    assert set(one) == {"simorgh-keys", "simorgh-postgresql", "simorgh-valkey", "simorgh-seaweedfs"}
    assert [(name, key) for name in one for key in one[name] if one[name][key] == other[name][key]] == []


def test_an_upgrade_keeps_what_is_there() -> None:
    """And what the operator added for an exchange of keys."""
    installed = kinds(rendered("trial"), "Secret")
    former = copy.deepcopy(installed)
    named(former, "Secret", "simorgh-keys")["data"]["verification-keys"] = "Zm9ybWVy"
    for item in former:  # helm adds these, and takes over nothing without
        item["metadata"]["annotations"] |= {
            "meta.helm.sh/release-name": RELEASE,
            "meta.helm.sh/release-namespace": NAMESPACE,
        }
    with api_server(rendered("trial"), former) as address:
        upgraded = _data(_render_against(address))
    assert upgraded == _data(former)


def test_an_installation_into_an_empty_cluster_makes_them() -> None:
    """Control of the above: the same question, answered with nothing."""
    with api_server(rendered("trial"), []) as address:
        made = _data(_render_against(address))
    assert made["simorgh-keys"]["signing-key"] != _data(rendered("trial"))["simorgh-keys"]["signing-key"]
    assert "verification-keys" not in made["simorgh-keys"]


def test_they_stay_when_the_release_is_removed() -> None:
    """As the volumes do, which nobody could read without them."""
    for item in kinds(rendered("everything"), "Secret"):
        assert item["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_gateway_takes_the_keys() -> None:
    """In production, which refuses short ones."""
    keys = _plain(rendered("trial"), "simorgh-keys")
    assert len(keys["signing-key"].encode()) >= MIN_SIGNING_KEY_BYTES
    settings = ApiSettings.model_construct(manifest_key=SecretStr(keys["manifest-key"]))
    assert manifest_key(settings) is not None


def test_whoever_brings_secrets_gets_none_made() -> None:
    for values in ("external", "keda", "backup"):
        assert kinds(rendered(values), "Secret") == []


def test_every_secret_that_a_pod_names_is_made_or_asked_for() -> None:
    """Made ones hold the keys that are asked for, but for those that may be missing."""
    asked_for = {"platform-database", "platform-broker", "platform-storage", "platform-keys", "backup-storage"}
    for values in VALUE_SETS:
        made = _data(rendered(values))
        for pod in pods(rendered(values)):
            for container in pod.containers:
                for variable in container.get("env", []):
                    reference = variable.get("valueFrom", {}).get("secretKeyRef")
                    if reference is None or reference.get("optional"):
                        continue
                    if reference["name"] in made:
                        assert reference["key"] in made[reference["name"]], (values, pod.name)
                    else:
                        assert reference["name"] in asked_for, (values, pod.name)


def test_keda_finds_its_address_in_the_secret_of_the_bundled_database() -> None:
    (authentication,) = kinds(rendered("trial-keda"), "TriggerAuthentication")
    (target,) = authentication["spec"]["secretTargetRef"]
    address = _plain(rendered("trial-keda"), target["name"])[target["key"]]
    assert address.startswith("postgresql://simorgh_app:")
    assert f"@simorgh-postgresql.{NAMESPACE}.svc:5432/simorgh" in address  # KEDA runs in another namespace
    assert named(rendered("trial-keda"), "Service", "simorgh-postgresql")["spec"]["ports"][0]["port"] == 5432
