"""No object refers to what is not there, and no name is too long, with any of the sets of values (R-DEPLOY-3)."""

import copy
from collections.abc import Callable

import pytest

from tests.deploy.helm.consistency import RULES
from tests.deploy.helm.rendering import CHART, NAMESPACE, Json, helm, kinds, named, objects_of, rendered
from tests.deploy.helm.value_sets import VALUE_SETS

Damage = Callable[[list[Json]], object]


def _deployment(objects: list[Json]) -> Json:
    return named(objects, "Deployment", "simorgh-io")


def _container(objects: list[Json]) -> Json:
    container: Json = _deployment(objects)["spec"]["template"]["spec"]["containers"][0]
    return container


DAMAGES: list[tuple[str, Damage]] = [
    ("names_fit", lambda objects: _deployment(objects)["metadata"].update(name="a" * 64)),
    ("names_fit", lambda objects: kinds(objects, "CronJob")[0]["metadata"].update(name="a" * 53)),
    ("labels_fit", lambda objects: _deployment(objects)["metadata"]["labels"].update(version="1.0+local")),
    (
        "selectors_find_their_pods",
        lambda objects: _deployment(objects)["spec"]["selector"]["matchLabels"].update(a="b"),
    ),
    ("selectors_find_their_pods", lambda objects: objects.remove(_deployment(objects))),
    ("mounts_have_volumes", lambda objects: _deployment(objects)["spec"]["template"]["spec"]["volumes"].pop()),
    ("ports_are_there", lambda objects: _container(objects)["readinessProbe"]["httpGet"].update(port="http")),
    ("requests_are_within_limits", lambda objects: _container(objects)["resources"]["requests"].update(memory="1Ti")),
    (
        "requests_are_within_limits",
        lambda objects: _container(objects)["resources"]["limits"].update({"nvidia.com/gpu": "1"}),
    ),
    ("references_lead_somewhere", lambda objects: objects.remove(_deployment(objects))),
    ("references_lead_somewhere", lambda objects: objects.remove(named(objects, "Secret", "simorgh-valkey"))),
    (
        "pods_restart_as_their_kind_may",
        lambda objects: _deployment(objects)["spec"]["template"]["spec"].update(restartPolicy="Never"),
    ),
    ("nothing_scales_one_thing_twice", lambda objects: objects.append(kinds(objects, "ScaledObject")[0])),
]


@pytest.mark.parametrize("rule", RULES)
def test_all_objects_fit_together(rule: str) -> None:
    for values in VALUE_SETS:
        assert list(RULES[rule](rendered(values))) == [], values


@pytest.mark.parametrize(("rule", "damage"), DAMAGES, ids=[rule for rule, _ in DAMAGES])
def test_each_rule_sees_what_breaks_it(rule: str, damage: Damage) -> None:
    """Control."""
    objects = copy.deepcopy(rendered("everything"))
    damage(objects)
    assert list(RULES[rule](objects)) != []


def test_each_rule_has_a_control() -> None:
    assert {rule for rule, _ in DAMAGES} == set(RULES)


def test_the_longest_name_of_a_release_fits(tmp_path) -> None:
    """helm takes 53 letters."""
    file = tmp_path / "values.yaml"
    file.write_text(
        "database: {bundled: true}\nbroker: {bundled: true}\nstorage: {bundled: true}\nkeda: {enabled: true}\n"
    )
    arguments = ("--set", "processes.trainer-gpu.enabled=true,backup.enabled=true,backup.to=s3://elsewhere/x")
    done = helm("template", "r" * 53, CHART, "--namespace", NAMESPACE, "--values", file, *arguments)
    assert done.returncode == 0, done.stderr
    objects = objects_of(done.stdout)
    assert list(RULES["names_fit"](objects)) == []
    assert list(RULES["labels_fit"](objects)) == []
