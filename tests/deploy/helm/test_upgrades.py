"""Another version and other values change nothing that Kubernetes forbids to change: a rollback is only a render."""

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.helm.rendering import CHART, Json, kinds, pods, render, rendered
from tests.deploy.helm.value_sets import EXTERNAL, VALUE_SETS, merged

NEXT = "9.8.7"
CHANGED: Json = {
    "logLevel": "debug",
    "env": {"SIMORGH_LEASE_S": "60"},
    "commonLabels": {"release-train": "blue"},
    "processes": {
        name: {"replicas": 3, "podLabels": {"wave": "2"}} for name in ("api", "io", "inference", "trainer-cpu")
    },
    "bundled": {"postgresql": {"image": "docker.io/library/postgres:18.9", "resources": {"limits": {"memory": "4Gi"}}}},
}


def fixed(item: Json) -> Any:
    """What Kubernetes refuses to change in an object that is there; None where it takes any change."""
    spec = item.get("spec", {})
    match item["kind"]:
        case "Deployment":
            return spec["selector"]
        case "StatefulSet":
            free = {
                "replicas",
                "template",
                "updateStrategy",
                "minReadySeconds",
                "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy",
            }
            return {name: value for name, value in spec.items() if name not in free}
        case "Job":
            return {"selector": spec.get("selector"), "template": spec["template"]}
        case "Service":
            return spec.get("clusterIP")
        case "Secret":
            return item.get("type")
    return None


def changes(before: list[Json], after: list[Json]) -> Iterator[str]:
    """Objects of one name that could not become what they shall be."""
    was = {(item["kind"], item["metadata"]["name"]): item for item in before}
    for item in after:
        key = (item["kind"], item["metadata"]["name"])
        is_replaced = "before-hook-creation" in item["metadata"].get("annotations", {}).get(
            "helm.sh/hook-delete-policy", ""
        )
        if key in was and not is_replaced and fixed(was[key]) != fixed(item):
            yield " ".join(key)


@pytest.fixture(scope="module")
def next_chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart as the next version will be called."""
    folder = tmp_path_factory.mktemp("next") / "simorgh"
    shutil.copytree(CHART, folder)
    about = yaml.safe_load((folder / "Chart.yaml").read_text("utf-8"))
    (folder / "Chart.yaml").write_text(yaml.safe_dump(about | {"version": NEXT, "appVersion": NEXT}))
    return folder


@pytest.mark.parametrize("values", ["trial", "external", "mirrored", "everything"])
def test_a_newer_version_with_other_values_can_replace_it(values: str, next_chart: Path) -> None:
    """R-DEPLOY-5: and so can the older one again: the comparison has no direction."""
    after = render(merged(VALUE_SETS[values], CHANGED), chart=next_chart)
    assert list(changes(rendered(values), after)) == []
    assert {
        pod.labels["app.kubernetes.io/version"] for pod in pods(after) if "app.kubernetes.io/version" in pod.labels
    } == {NEXT}


def test_switching_a_part_on_changes_nothing_that_is_fixed() -> None:
    """From fixed numbers of pods to KEDA, and back."""
    for values in ("gpu", "keda", "monitored", "backup"):
        assert list(changes(rendered("external"), rendered(values))) == [], values


def test_jobs_beside_the_rest_are_named_by_their_content(next_chart: Path) -> None:
    """A Job cannot be changed: another image is another Job; the same content is the same one."""
    before, again, after = (
        {item["metadata"]["name"] for item in kinds(objects, "Job")}
        for objects in (rendered("trial"), render(VALUE_SETS["trial"]), render(VALUE_SETS["trial"], chart=next_chart))
    )
    assert before == again
    assert len(before) == len(after) == 2
    assert not before & after


class TestControls:
    """The comparison can fail."""

    @pytest.mark.parametrize(
        ("kind", "change"),
        [
            ("Deployment", lambda spec: spec["selector"]["matchLabels"].update(version="1")),
            ("StatefulSet", lambda spec: spec.update(serviceName="another")),
            ("StatefulSet", lambda spec: spec["volumeClaimTemplates"][0]["metadata"].update(labels={"version": "1"})),
            ("Job", lambda spec: spec["template"]["spec"]["containers"][0].update(image="another:1")),
        ],
    )
    def test_a_change_of_what_is_fixed_is_seen(self, kind: str, change: Any) -> None:
        after = copy.deepcopy(rendered("trial"))
        item = kinds(after, kind)[0]
        change(item["spec"])
        assert list(changes(rendered("trial"), after)) == [f"{kind} {item['metadata']['name']}"]


class TestOrder:
    """What runs when."""

    def test_outside_databases_are_migrated_before_anything_changes(self) -> None:
        (job,) = kinds(rendered("external"), "Job")
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert all("initContainers" not in pod.spec for pod in pods(rendered("external")))

    def test_a_hook_refers_to_nothing_that_the_release_makes(self) -> None:
        """It runs before that is there: only to what the operator made."""
        made = {(item["kind"], item["metadata"]["name"]) for item in rendered("external")}
        (pod,) = [pod for pod in pods(rendered("external")) if pod.component == "migrate"]
        named = [
            variable["valueFrom"]["secretKeyRef"]["name"]
            for variable in pod.spec["containers"][0]["env"]
            if "valueFrom" in variable
        ]
        assert named == ["platform-database"]
        assert not {("Secret", name) for name in named} & made
        assert "serviceAccountName" not in pod.spec

    @pytest.mark.parametrize("values", ["trial", "small"])
    def test_without_a_hook_each_process_waits_for_the_schema(self, values: str) -> None:
        """Instead of ending again and again: the migration waits for the database, and they for it."""
        served = [pod for pod in pods(rendered(values)) if pod.kind == "Deployment"]
        assert served
        for pod in served:
            (waiting,) = pod.spec["initContainers"]
            assert waiting["command"] == ["simorgh-migrate", "--await", "3600"]
            assert waiting["image"] == pod.spec["containers"][0]["image"]
            assert "SIMORGH_DATABASE_OWNER_URL" not in {variable["name"] for variable in waiting["env"]}

    def test_a_rollback_starts_no_hook(self) -> None:
        """The older release's migration would find a newer schema."""
        for values in VALUE_SETS:
            for item in rendered(values):
                assert "rollback" not in item["metadata"].get("annotations", {}).get("helm.sh/hook", "")


def test_where_something_else_counts_the_pods_the_chart_says_no_number() -> None:
    """Each upgrade would set it back."""
    for values, scaled in (("keda", {"trainer-cpu", "io", "voice-cpu"}), ("ingress", {"api", "inference"})):
        without = {
            item["metadata"]["name"].removeprefix("simorgh-")
            for item in kinds(rendered(values), "Deployment")
            if "replicas" not in item["spec"]
        }
        assert without == scaled
    assert all("replicas" in item["spec"] for item in kinds(render(EXTERNAL), "Deployment"))
