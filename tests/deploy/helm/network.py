"""Which connections NetworkPolicies allow, as Kubernetes defines it: what a pod's policies do not name is closed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from tests.deploy.helm.rendering import NAMESPACE, Json, kinds


@dataclass(frozen=True)
class End:
    """One end of a connection: a pod, or a machine outside the cluster."""

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = NAMESPACE
    address: str | None = None
    """Of a machine outside; pods are never found by address here."""


def is_allowed(objects: list[Json], source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Whether `source` may leave for `target`, and `target` let it in."""
    leaves = _opens(objects, source, "Egress", target, port, protocol)
    return leaves and _opens(objects, target, "Ingress", source, port, protocol)


def _opens(objects: list[Json], pod: End, direction: str, other: End, port: int, protocol: str) -> bool:
    """By the policies of `pod`; those of another namespace or of outside machines are not ours to know: they allow."""
    if pod.address is not None or pod.namespace != NAMESPACE:
        return True
    chosen = [
        policy["spec"]
        for policy in kinds(objects, "NetworkPolicy")
        if _selects(policy["spec"]["podSelector"], pod.labels)
    ]
    governing = [spec for spec in chosen if direction in spec["policyTypes"]]
    if not governing:
        return True
    side = "to" if direction == "Egress" else "from"
    rules = [rule for spec in governing for rule in spec.get(direction.lower(), [])]
    return any(_has_port(rule, port, protocol) and _has_peer(rule, side, other) for rule in rules)


def _has_port(rule: Json, port: int, protocol: str) -> bool:
    if "ports" not in rule:
        return True
    return any(entry.get("port", port) == port and entry.get("protocol", "TCP") == protocol for entry in rule["ports"])


def _has_peer(rule: Json, side: str, other: End) -> bool:
    """A rule that names no peers means anyone; one that names an empty list too."""
    return not rule.get(side) or any(_is_peer(peer, other) for peer in rule[side])


def _is_peer(peer: Json, other: End) -> bool:
    if "ipBlock" in peer:
        if other.address is None:
            return False
        address = ip_address(other.address)
        block = peer["ipBlock"]
        return address in ip_network(block["cidr"]) and not any(
            address in ip_network(cidr) for cidr in block.get("except", [])
        )
    if other.address is not None:
        return False
    if "namespaceSelector" in peer:
        if not _selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace}):
            return False
    elif other.namespace != NAMESPACE:
        return False
    return _selects(peer.get("podSelector", {}), other.labels)


def _selects(selector: Json, labels: Mapping[str, str]) -> bool:
    for name, value in selector.get("matchLabels", {}).items():
        if labels.get(name) != value:
            return False
    return all(_holds(expression, labels) for expression in selector.get("matchExpressions", []))


def _holds(expression: Json, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return value in expression["values"]
        case "NotIn":
            return value not in expression["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case operator:
            raise ValueError(f"unknown operator {operator}")
