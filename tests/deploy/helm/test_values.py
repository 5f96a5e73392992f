"""Wrong values are refused with words that say what is wrong, and every value is described."""

import json
import runpy
from typing import Any

import pytest
import yaml

from simorgh_api.dispatcher.settings import DispatcherSettings
from simorgh_api.settings import ApiSettings
from simorgh_inference.settings import RegistrySettings, ServerSettings
from simorgh_shared.secret_files import is_secret
from simorgh_shared.settings import MigrationSettings
from simorgh_trainer.settings import TrainerSettings
from simorgh_voice.settings import VoiceSettings
from tests.deploy.helm.rendering import CHART, pods, rendered, template
from tests.deploy.helm.value_sets import BUNDLED, EXTERNAL, INGRESS, VALUE_SETS, merged

SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
OWN = yaml.safe_load((CHART / "files" / "own_variables.yaml").read_text("utf-8"))


def _process(name: str, **values: Any) -> dict[str, Any]:
    return {"processes": {name: values}}


REFUSED = {
    "a text in place of a number": (
        _process("api", replicas="two"),
        "'/processes/api/replicas': got string, want integer",
    ),
    "a misspelt name": (_process("api", replica=2), "'/processes/api': additional properties 'replica' not allowed"),
    "an unknown process": (_process("trainer"), "'/processes': additional properties 'trainer' not allowed"),
    "a value of another process": (
        _process("dispatcher", gpu={"count": 1}),
        "'/processes/dispatcher': additional properties 'gpu' not allowed",
    ),
    "an amount that is none": (
        _process("io", resources={"limits": {"memory": "8Gb"}}),
        "'/processes/io/resources/limits/memory': '8Gb' does not match pattern",
    ),
    "a grace too short for a checkpoint": (
        _process("trainer-cpu", terminationGracePeriodSeconds=15),
        "'/processes/trainer-cpu/terminationGracePeriodSeconds': minimum: got 15, want 40",
    ),
    "an unknown controller": (
        {"ingress": {"controller": "envoy"}},
        "'/ingress/controller': value must be one of 'nginx', 'nginx-inc', 'haproxy', 'traefik', 'other'",
    ),
    "a digest that is none": (
        {"image": {"digests": {"api": "abc"}}},
        "'/image/digests/api': 'abc' does not match pattern",
    ),
    "a backup into a folder": ({"backup": {"to": "/backup"}}, "'/backup/to': '/backup' does not match pattern"),
    "an unknown value": ({"postgresql": {"enabled": True}}, "additional properties 'postgresql' not allowed"),
    "no database": ({"database": {"existingSecret": ""}}, "database.existingSecret is empty: name a Secret"),
    "no storage": ({"storage": {"existingSecret": ""}}, "name a Secret with the access to your S3 storage"),
    "a hook that would wait for ever": (
        merged(BUNDLED, {"migration": {"mode": "hook"}}),
        "migration.mode=hook cannot work with database.bundled=true",
    ),
    "an ingress without a name": ({"ingress": {"enabled": True}}, "ingress.host is empty"),
    "an ingress that nobody may use": (
        {"ingress": {"enabled": True, "host": "a.example.org"}},
        "networkPolicy.clients is empty: nobody could reach the gateway",
    ),
    "a host name for somebody else's storage": (
        merged(INGRESS, {"ingress": {"storageHost": "s3.example.org"}}),
        "ingress.storageHost is for the bundled storage alone",
    ),
    "files by http from pages by https": (
        merged(BUNDLED, INGRESS, {"ingress": {"storageHost": "s3.example.org"}}),
        "pages that come by https may not send files by http",
    ),
    "a backup into the platform's own bucket": (
        {"backup": {"enabled": True, "to": "s3://simorgh/backups"}},
        "backup.to names the platform's own bucket simorgh",
    ),
    "a backup to nowhere": ({"backup": {"enabled": True}}, "backup.to is empty"),
    "latest": ({"image": {"tag": "latest"}}, "image.tag=latest is refused"),
    "latest of a bundled service": (
        {"bundled": {"valkey": {"image": "docker.io/valkey/valkey:latest"}}},
        "bundled.valkey.image ends with :latest",
    ),
    "a secret in plain sight": (
        {"env": {"SIMORGH_SIGNING_KEY": "x"}},
        "env.SIMORGH_SIGNING_KEY is refused: it is a secret, and comes from a Secret",
    ),
    "a variable of the chart's": (
        _process("io", env={"SIMORGH_WORK_DIR": "/x"}),
        "processes.io.env.SIMORGH_WORK_DIR is refused: the chart sets it. Use scratch of the process.",
    ),
    "a label that selectors need": (
        _process("api", podLabels={"app.kubernetes.io/name": "x"}),
        "processes.api.podLabels: the label app.kubernetes.io/name is the chart's own",
    ),
    "fewer than the fewest": (
        _process("io", keda={"minReplicas": 9}),
        "processes.io: minReplicas is larger than maxReplicas",
    ),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_wrong_values_are_refused(wrong: str) -> None:
    """R-DEPLOY-3: by name and with what would be right."""
    values, sentence = REFUSED[wrong]
    done = template(merged(EXTERNAL, values))
    assert done.returncode != 0
    assert sentence in done.stderr


def test_values_that_are_right_are_taken() -> None:
    """Control of the above: the same values but for what is wrong in them."""
    assert (
        template(merged(EXTERNAL, _process("api", replicas=2), {"ingress": {"controller": "haproxy"}})).returncode == 0
    )


class TestSchema:
    """values.schema.json."""

    def _undescribed(self, part: dict[str, Any], at: str) -> list[str]:
        target = SCHEMA["$defs"][part["$ref"].removeprefix("#/$defs/")] if "$ref" in part else {}
        whole = target | part
        missing = [] if whole.get("description") or at == "" else [at]
        for name, inner in whole.get("properties", {}).items():
            missing += self._undescribed(inner, f"{at}.{name}")
        return missing

    def _open_objects(self, part: Any, at: str) -> list[str]:
        if isinstance(part, list):
            return [found for one in part for found in self._open_objects(one, at)]
        if not isinstance(part, dict):
            return []
        is_open = (
            "properties" in part and part.get("type") == "object" and part.get("additionalProperties") is not False
        )
        return [at] * is_open + [
            found for name, one in part.items() for found in self._open_objects(one, f"{at}.{name}")
        ]

    def test_every_value_is_described(self) -> None:
        assert self._undescribed(SCHEMA, "") == []

    def test_no_value_is_taken_that_nobody_knows(self) -> None:
        assert self._open_objects(SCHEMA, "") == []

    def test_every_default_is_in_it_and_everything_in_it_has_a_default(self) -> None:
        left_out = {"global"}
        assert set(SCHEMA["properties"]) - left_out == set(VALUES)
        for name, process in SCHEMA["properties"]["processes"]["properties"].items():
            assert set(process["properties"]) == set(VALUES["processes"][name])


class TestOwnVariables:
    """files/own_variables.yaml: what nobody may give a second time."""

    def test_all_secrets_of_the_code_are_refused_as_plain_values(self) -> None:
        """Whoever adds a secret setting adds it there."""
        secrets = set()
        for settings in (
            ApiSettings,
            DispatcherSettings,
            TrainerSettings,
            VoiceSettings,
            ServerSettings,
            RegistrySettings,
            MigrationSettings,
        ):
            for name, field in settings.model_fields.items():
                if is_secret(field.annotation):
                    secrets.add(f"SIMORGH_{name.upper()}")
        assert secrets <= set(OWN["secrets"])

    def test_it_names_every_variable_that_the_chart_sets(self) -> None:
        set_by_chart, from_secrets = set(), set()
        for values in VALUE_SETS:
            given = {
                name
                for text in (VALUE_SETS[values], *VALUE_SETS[values].get("processes", {}).values())
                for name in text.get("env", {})
            }
            for pod in pods(rendered(values)):
                if pod.kind == "StatefulSet":
                    continue
                for container in pod.containers:
                    for variable in container["env"]:
                        is_from_secret = "secretKeyRef" in variable.get("valueFrom", {})
                        (from_secrets if is_from_secret else set_by_chart).add(variable["name"])
            set_by_chart -= given
        assert from_secrets == set(OWN["secrets"])
        assert set_by_chart == set(OWN["others"])


class TestReadme:
    """The chart's README.md."""

    def test_it_is_what_values_and_schema_say(self) -> None:
        tool = runpy.run_path(str(CHART.parent / "tools" / "chart_readme.py"))
        assert tool["readme"](SCHEMA, VALUES) == (CHART / "README.md").read_text("utf-8"), "run `make chart-readme`"

    def test_it_tells_the_default_of_a_value(self) -> None:
        text = (CHART / "README.md").read_text("utf-8")
        assert "| processes.io.replicas | integer | `1` |" in text
        assert "| processes.trainer-gpu.gpu.resource | string | `nvidia.com/gpu` |" in text
