"""The values that docs/kubernetes.md shows are taken as they stand."""

import re

import pytest
import yaml

from tests.deploy.helm.policies import broken
from tests.deploy.helm.rendering import CHART, pods, render
from tests.deploy.helm.schemas import complaints, newest_known
from tests.deploy.helm.value_sets import EXTERNAL, VALUE_SETS, merged

GUIDE = (CHART.parents[2] / "docs" / "kubernetes.md").read_text("utf-8")
SHOWN = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


def test_the_values_for_a_trial_are_the_ones_that_are_tested() -> None:
    assert yaml.safe_load((CHART.parent / "trial.yaml").read_text("utf-8")) == VALUE_SETS["trial"]
    assert "--values deploy/k8s/trial.yaml" in GUIDE


@pytest.mark.parametrize("number", range(len(SHOWN)))
def test_each_example_can_be_installed(number: int) -> None:
    """Those that say nothing of the services, beside some that are there."""
    objects = render(merged(EXTERNAL, yaml.safe_load(SHOWN[number])))
    assert [what for item in objects for what in complaints(item, newest_known())] == []
    assert broken(list(pods(objects))) == []


def test_the_guide_shows_an_example_of_each_choice() -> None:
    """Control: the examples are found."""
    parts = set(merged(*map(yaml.safe_load, SHOWN)))
    assert {
        "image",
        "database",
        "ingress",
        "networkPolicy",
        "processes",
        "keda",
        "monitoring",
        "bundled",
        "backup",
    } <= parts
