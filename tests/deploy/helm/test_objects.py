"""Helm finds nothing wrong with the chart, and Kubernetes with no object of it, with any of the sets of values."""

import copy
import json

import pytest
import yaml

from tests.deploy.helm.rendering import CHART, Json, helm, kinds, named, rendered
from tests.deploy.helm.schemas import complaints, newest_known, oldest_supported
from tests.deploy.helm.value_sets import VALUE_SETS

_seen: set[tuple[str, str]] = set()
"""Objects that were found good: most of them are the same in several sets."""


def _complaints(item: Json, version: str) -> list[str]:
    key = (version, json.dumps(item, sort_keys=True))
    if key in _seen:
        return []
    found = [f"{item['kind']} {item['metadata']['name']}: {what}" for what in complaints(item, version)]
    if not found:
        _seen.add(key)
    return found


@pytest.mark.parametrize("values", ["trial", "external", "everything"])
def test_helm_lint_is_content(values: str, tmp_path) -> None:
    """R-DEPLOY-3: strictly."""
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(VALUE_SETS[values]))
    done = helm("lint", "--strict", "--quiet", CHART, "--values", file)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("version", [oldest_supported(), newest_known()])
@pytest.mark.parametrize("values", VALUE_SETS)
def test_kubernetes_takes_every_object(values: str, version: str) -> None:
    """R-DEPLOY-3: by the strict schemas of the oldest and the newest version; a misspelt field is refused."""
    assert [what for item in rendered(values) for what in _complaints(item, version)] == []


def test_no_two_objects_share_a_name() -> None:
    """The second one would replace the first."""
    for values in VALUE_SETS:
        names = [(item["kind"], item["metadata"]["name"]) for item in rendered(values)]
        assert len(names) == len(set(names)), values


class TestControls:
    """The checks above can fail."""

    def test_a_misspelt_field_is_seen(self) -> None:
        item = copy.deepcopy(named(rendered("external"), "Deployment", "simorgh-api"))
        item["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
        assert "readynessProbe" in complaints(item, newest_known())[0]

    def test_a_number_in_place_of_a_text_is_seen(self) -> None:
        item = copy.deepcopy(named(rendered("external"), "Deployment", "simorgh-api"))
        item["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "X", "value": 1})
        assert complaints(item, oldest_supported()) != []

    @pytest.mark.parametrize("kind", ["ScaledJob", "ScaledObject", "TriggerAuthentication"])
    def test_an_unknown_field_of_keda_is_seen(self, kind: str) -> None:
        item = copy.deepcopy(kinds(rendered("keda"), kind)[0])
        assert complaints(item, newest_known()) == []
        item["spec"]["pollingIntervall"] = 3
        assert complaints(item, newest_known()) == ["spec.pollingIntervall: Extra inputs are not permitted"]

    def test_a_wrong_value_of_keda_is_seen(self) -> None:
        item = copy.deepcopy(kinds(rendered("keda"), "ScaledObject")[0])
        item["spec"]["maxReplicaCount"] = "many"
        assert complaints(item, newest_known()) != []

    def test_an_unknown_field_of_the_prometheus_operator_is_seen(self) -> None:
        item = copy.deepcopy(kinds(rendered("monitored"), "ServiceMonitor")[0])
        item["spec"]["endpoints"][0]["intervall"] = "3s"
        assert complaints(item, newest_known()) == ["spec.endpoints.0.intervall: Extra inputs are not permitted"]
