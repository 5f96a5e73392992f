"""Every pod of every set of values keeps every rule, and each rule would say so if one did not."""

import copy
from collections.abc import Callable

import pytest

from tests.deploy.helm.policies import RULES, first
from tests.deploy.helm.rendering import Pod, pods, rendered
from tests.deploy.helm.value_sets import VALUE_SETS

Damage = Callable[[Pod], None]


def _set(pod: Pod, name: str, value: object) -> None:
    first(pod)["securityContext"][name] = value


DAMAGES: list[tuple[str, str, Damage]] = [
    ("runs_as_a_numbered_user", "root", lambda pod: _set(pod, "runAsUser", 0)),
    ("runs_as_a_numbered_user", "by name", lambda pod: pod.spec["securityContext"].pop("runAsUser")),
    ("gains_no_privileges", "capability", lambda pod: _set(pod, "capabilities", {"drop": ["NET_RAW"]})),
    ("gains_no_privileges", "escalation", lambda pod: _set(pod, "allowPrivilegeEscalation", True)),
    ("gains_no_privileges", "host's network", lambda pod: pod.spec.update(hostNetwork=True)),
    ("is_confined_by_seccomp", "unconfined", lambda pod: _set(pod, "seccompProfile", {"type": "Unconfined"})),
    ("writes_only_into_its_volumes", "root", lambda pod: _set(pod, "readOnlyRootFilesystem", False)),
    ("writes_only_into_its_volumes", "no /tmp", lambda pod: first(pod).update(volumeMounts=[])),
    (
        "writes_only_into_its_volumes",
        "host",
        lambda pod: pod.spec["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
    ),
    ("writes_only_into_its_volumes", "no end", lambda pod: pod.spec["volumes"].append({"name": "x", "emptyDir": {}})),
    ("says_what_it_needs", "no limit", lambda pod: first(pod)["resources"].pop("limits")),
    ("tells_how_it_is", "no probe", lambda pod: first(pod).pop("livenessProbe")),
    ("tells_how_it_is", "another path", lambda pod: first(pod)["readinessProbe"].update(httpGet={"path": "/livez"})),
    ("knows_nothing_of_the_cluster", "token", lambda pod: pod.spec.update(automountServiceAccountToken=True)),
    ("knows_nothing_of_the_cluster", "links", lambda pod: pod.spec.pop("enableServiceLinks")),
    ("runs_what_was_released", "latest", lambda pod: first(pod).update(image="registry:5000/simorgh/api:latest")),
    ("runs_what_was_released", "no tag", lambda pod: first(pod).update(image="registry:5000/simorgh/api")),
    ("shows_no_secret", "key", lambda pod: first(pod)["env"].append({"name": "SIMORGH_SIGNING_KEY", "value": "x"})),
    ("shows_no_secret", "address", lambda pod: first(pod)["env"].append({"name": "SIMORGH_REDIS_URL", "value": "x"})),
    ("shows_no_secret", "command", lambda pod: first(pod)["command"].append("--requirepass x")),
    ("names_each_variable_once", "twice", lambda pod: first(pod)["env"].append(first(pod)["env"][0])),
    ("ends_in_its_own_time", "at once", lambda pod: pod.spec.update(terminationGracePeriodSeconds=1)),
    ("ends_in_its_own_time", "no preStop", lambda pod: first(pod).pop("lifecycle")),
]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("values", VALUE_SETS)
def test_every_pod_keeps_every_rule(values: str, rule: str) -> None:
    """R-DEPLOY-3: PodSecurity `restricted` and more, whatever is switched on."""
    assert [f"{pod.kind} {pod.name}: {what}" for pod in pods(rendered(values)) for what in RULES[rule](pod)] == []


@pytest.mark.parametrize(
    ("rule", "damage"),
    [(rule, damage) for rule, _, damage in DAMAGES],
    ids=[f"{rule}: {what}" for rule, what, _ in DAMAGES],
)
def test_each_rule_sees_what_breaks_it(rule: str, damage: Damage) -> None:
    """Control."""
    (api,) = [pod for pod in pods(copy.deepcopy(rendered("external"))) if pod.component == "api"]
    assert list(RULES[rule](api)) == []
    damage(api)
    assert list(RULES[rule](api)) != []


def test_each_rule_has_a_control() -> None:
    """One that nothing breaks would say nothing."""
    assert {rule for rule, _, _ in DAMAGES} == set(RULES)


def test_all_kinds_of_pods_were_looked_at() -> None:
    """None is missed because it is made in another way."""
    assert {pod.kind for pod in pods(rendered("everything"))} == {
        "Deployment",
        "StatefulSet",
        "Job",
        "CronJob",
        "ScaledJob",
    }
