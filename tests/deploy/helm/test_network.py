"""Between pods, and with the outside, exactly the connections are open that the services need (R-DEPLOY-3).

What each process needs stands here a second time, as its `main.py` tells it, not as the chart's table does.
"""

import copy

import pytest

from tests.deploy.helm.network import End, is_allowed
from tests.deploy.helm.rendering import Json, kinds, pods, rendered
from tests.deploy.helm.value_sets import VALUE_SETS

WORKER = {"postgresql", "valkey", "seaweedfs"}
NEEDS = {
    "api": {*WORKER, "inference"},
    "dispatcher": WORKER,
    "trainer-cpu": WORKER,
    "trainer-gpu": WORKER,
    "io": {*WORKER, "inference"},  # batches
    "voice-cpu": WORKER,
    "voice-gpu": WORKER,
    "inference": {"postgresql", "seaweedfs"},
    "migrate": {"postgresql"},
    "backup": {"postgresql", "seaweedfs"},
    "bucket": {"seaweedfs"},
    "postgresql": set(),
    "valkey": set(),
    "seaweedfs": set(),
}
PORTS = {"api": 8000, "inference": 8100, "postgresql": 5432, "valkey": 6379, "seaweedfs": 8333}
INTERNET = End(address="93.184.216.34")
RESOLVER = End({"k8s-app": "kube-dns"}, "kube-system")
PROMETHEUS = End({"app.kubernetes.io/name": "prometheus"}, "monitoring")
KEDA = End({"app": "keda-operator"}, "keda")
CONTROLLER = End({"app.kubernetes.io/name": "ingress"}, "ingress")
STRANGER = End({"app": "stranger"}, "default")
NEIGHBOUR = End({"app": "neighbour"})  # in our namespace, of another release


def _ends(values: str) -> dict[str, End]:
    return {pod.component: End(pod.labels) for pod in pods(rendered(values))}


def _open(values: str, source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    return is_allowed(rendered(values), source, target, port, protocol)


def test_every_component_of_the_release_is_in_the_table() -> None:
    """Whoever adds one says what it needs."""
    assert set(_ends("everything")) == set(NEEDS)


@pytest.mark.parametrize("source", NEEDS)
def test_each_pod_reaches_what_it_needs_and_no_other(source: str) -> None:
    """So voice never asks inference, and nothing but the gateway and the io worker does."""
    ends = _ends("everything")
    reached = {name for name in ends if _open("everything", ends[source], ends[name], PORTS.get(name, 9100))}
    assert reached == NEEDS[source]


@pytest.mark.parametrize("port", [22, 8888, 9333, 18333, 19333])
def test_no_other_port_of_the_storage_is_open(port: int) -> None:
    """Its filer asks for no key."""
    ends = _ends("everything")
    assert not any(
        _open("everything", end, ends["seaweedfs"], port) for end in (*ends.values(), CONTROLLER, PROMETHEUS)
    )


def test_prometheus_reads_the_metrics_of_processes_alone() -> None:
    ends = _ends("everything")
    read = {name for name in ends if _open("everything", PROMETHEUS, ends[name], PORTS.get(name, 9100))}
    assert read == {"api", "dispatcher", "trainer-cpu", "trainer-gpu", "io", "voice-cpu", "voice-gpu", "inference"}


def test_the_ingress_controller_reaches_the_gateway() -> None:
    assert {
        name for name, end in _ends("ingress").items() if _open("ingress", CONTROLLER, end, PORTS.get(name, 9100))
    } == {"api"}


def test_and_the_storage_where_it_has_a_host_name() -> None:
    ends = _ends("trial-ingress")
    reached = {name for name in ends if _open("trial-ingress", CONTROLLER, ends[name], PORTS.get(name, 9100))}
    assert reached == {"api", "seaweedfs"}


def test_keda_counts_jobs_in_the_bundled_database() -> None:
    ends = _ends("trial-keda")
    assert {name for name in ends if _open("trial-keda", KEDA, ends[name], PORTS.get(name, 9100))} == {"postgresql"}
    assert not _open("trial", KEDA, _ends("trial")["postgresql"], 5432)


@pytest.mark.parametrize("stranger", [STRANGER, NEIGHBOUR, INTERNET], ids=["namespace", "release", "internet"])
def test_nobody_else_gets_in(stranger: End) -> None:
    ends = _ends("everything")
    assert not any(_open("everything", stranger, ends[name], PORTS.get(name, 9100)) for name in ends)


def test_names_are_looked_up_in_the_cluster_alone() -> None:
    for end in _ends("everything").values():
        for protocol in ("UDP", "TCP"):
            assert _open("everything", end, RESOLVER, 53, protocol)
            assert not _open("everything", end, INTERNET, 53, protocol)


def test_nothing_reaches_the_internet_from_a_release_with_its_own_services() -> None:
    """R-DEPLOY-6."""
    assert not any(_open("trial", end, INTERNET, port) for end in _ends("trial").values() for port in (80, 443, 5432))


def test_services_outside_are_reached_at_their_ports() -> None:
    ends = _ends("external")
    for name, port, need in (
        ("database", 5432, "postgresql"),
        ("broker", 6379, "valkey"),
        ("storage", 443, "seaweedfs"),
    ):
        reached = {source for source, end in ends.items() if _open("external", end, INTERNET, port)}
        assert reached == {source for source in ends if need in NEEDS[source]}, name


def test_backups_go_where_they_are_kept() -> None:
    assert _open("backup", _ends("backup")["backup"], INTERNET, 443)


def test_traces_reach_their_collector() -> None:
    ends = _ends("monitored")
    assert all(_open("monitored", ends[name], INTERNET, 4318) for name in ("api", "dispatcher", "io", "inference"))
    assert not _open("external", _ends("external")["api"], INTERNET, 4318)


class TestControls:
    """The evaluator sees what is changed."""

    def _without(self, name: str) -> list[Json]:
        return [
            item
            for item in rendered("everything")
            if (item["kind"], item["metadata"]["name"]) != ("NetworkPolicy", name)
        ]

    def test_without_policies_all_is_open(self) -> None:
        ends = _ends("small")
        assert kinds(rendered("small"), "NetworkPolicy") == []
        assert _open("small", STRANGER, ends["api"], 8000)

    def test_without_its_policy_a_process_reaches_nothing(self) -> None:
        ends = _ends("everything")
        assert not is_allowed(self._without("simorgh-voice-cpu"), ends["voice-cpu"], ends["postgresql"], 5432)

    def test_one_more_policy_opens_a_way(self) -> None:
        ends = _ends("everything")
        objects = copy.deepcopy(rendered("everything"))
        for policy in kinds(objects, "NetworkPolicy"):
            if policy["metadata"]["name"] == "simorgh-inference":
                policy["spec"]["ingress"].append({"ports": [{"port": 8100, "protocol": "TCP"}]})
        assert is_allowed(objects, STRANGER, ends["inference"], 8100)
        assert not is_allowed(objects, ends["voice-cpu"], ends["inference"], 8100)  # it still may not leave


def test_every_set_with_policies_denies_by_default() -> None:
    """Whatever is switched on, each pod of the release is under a policy for both directions."""
    for values in VALUE_SETS:
        if values == "small":
            continue
        for pod in pods(rendered(values)):
            assert not _open(values, End(pod.labels), STRANGER, 1), (values, pod.name)
            assert not _open(values, STRANGER, End(pod.labels), 1), (values, pod.name)
