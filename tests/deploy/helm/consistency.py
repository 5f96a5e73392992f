"""What an API server refuses though every field has its form: names too long, and words that refer to nothing."""

import re
from collections.abc import Callable, Iterator

from tests.deploy.helm.rendering import Json, kinds, pods

Rule = Callable[[list[Json]], Iterator[str]]
_UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "m": 1e-3}
_LABEL = r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?"
# A CronJob's Jobs, a StatefulSet's revisions and a ScaledJob's Jobs append to its name what must still fit 63 letters.
_LENGTHS = {"CronJob": 52, "StatefulSet": 52, "ScaledJob": 52, "ConfigMap": 253, "Secret": 253, "PrometheusRule": 253}


def names_fit(objects: list[Json]) -> Iterator[str]:
    """Names are DNS labels of at most 63 letters, of some kinds fewer; a Service's begins with a letter."""
    for item in objects:
        name = item["metadata"]["name"]
        first = "[a-z]" if item["kind"] == "Service" else "[a-z0-9]"
        if len(name) > _LENGTHS.get(item["kind"], 63) or not re.fullmatch(rf"{first}([-a-z0-9]*[a-z0-9])?", name):
            yield f"{item['kind']} {name} ({len(name)})"


def labels_fit(objects: list[Json]) -> Iterator[str]:
    """Values of labels, of pods too."""
    every = [item["metadata"].get("labels", {}) for item in objects] + [pod.labels for pod in pods(objects)]
    yield from (value for labels in every for value in labels.values() if not re.fullmatch(_LABEL, value))


def selectors_find_their_pods(objects: list[Json]) -> Iterator[str]:
    """A Deployment's own; and for each disruption budget there is one."""
    for item in (*kinds(objects, "Deployment"), *kinds(objects, "StatefulSet")):
        if (
            not item["spec"]["selector"]["matchLabels"].items()
            <= item["spec"]["template"]["metadata"]["labels"].items()
        ):
            yield f"{item['metadata']['name']} does not select its own pods"
    for budget in kinds(objects, "PodDisruptionBudget"):
        wanted = budget["spec"]["selector"]["matchLabels"].items()
        if not any(wanted <= pod.labels.items() for pod in pods(objects) if pod.kind == "Deployment"):
            yield f"budget {budget['metadata']['name']} selects nothing"


def mounts_have_volumes(objects: list[Json]) -> Iterator[str]:
    """And every volume is mounted."""
    claims = {
        item["metadata"]["name"]: {claim["metadata"]["name"] for claim in item["spec"]["volumeClaimTemplates"]}
        for item in kinds(objects, "StatefulSet")
    }
    for pod in pods(objects):
        volumes = {volume["name"] for volume in pod.spec.get("volumes", [])} | claims.get(pod.name, set())
        mounts = {mount["name"] for container in pod.containers for mount in container.get("volumeMounts", [])}
        yield from (f"{pod.name}: {name}" for name in sorted(mounts ^ volumes))


def ports_are_there(objects: list[Json]) -> Iterator[str]:
    """Probes ask at ports that the container names, in at most 15 letters."""
    for pod in pods(objects):
        for container in pod.containers:
            named = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            yield from (f"{pod.name}: {name} is too long" for name in named if len(name) > 15)
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                for way in ("httpGet", "tcpSocket"):
                    asked = container.get(probe, {}).get(way)
                    if asked and asked["port"] not in {*named, *named.values()}:
                        yield f"{pod.name}: {probe} asks at {asked['port']}"


def requests_are_within_limits(objects: list[Json]) -> Iterator[str]:
    """What is asked for is allowed; of GPUs exactly as much."""
    for pod in pods(objects):
        for container in pod.containers:
            requests, limits = container["resources"]["requests"], container["resources"]["limits"]
            for name in set(requests) & set(limits):
                if amount(requests[name]) > amount(limits[name]):
                    yield f"{pod.name}: {name}"
            yield from (f"{pod.name}: {name}" for name in set(requests) ^ set(limits) if "/" in name)


def references_lead_somewhere(objects: list[Json]) -> Iterator[str]:
    """Of what scales, to what is there; of volumes, to ConfigMaps and Secrets of the release."""
    deployments = {item["metadata"]["name"] for item in kinds(objects, "Deployment")}
    for kind in ("HorizontalPodAutoscaler", "ScaledObject"):
        for item in kinds(objects, kind):
            if item["spec"]["scaleTargetRef"]["name"] not in deployments:
                yield f"{kind} {item['metadata']['name']}"
    made = {(item["kind"], item["metadata"]["name"]) for item in objects}
    for pod in pods(objects):
        for volume in pod.spec.get("volumes", []):
            if "configMap" in volume and ("ConfigMap", volume["configMap"]["name"]) not in made:
                yield f"{pod.name}: {volume['configMap']['name']}"
            if "secret" in volume and ("Secret", volume["secret"]["secretName"]) not in made:
                yield f"{pod.name}: {volume['secret']['secretName']}"


def pods_restart_as_their_kind_may(objects: list[Json]) -> Iterator[str]:
    """What ends by itself is not started again for ever, and what serves is."""
    for pod in pods(objects):
        policy = pod.spec.get("restartPolicy", "Always")
        if (policy == "Always") is not (pod.kind in {"Deployment", "StatefulSet"}):
            yield f"{pod.name}: {policy}"


def nothing_scales_one_thing_twice(objects: list[Json]) -> Iterator[str]:
    """KEDA makes a HorizontalPodAutoscaler of its own: two would pull at one Deployment."""
    scaled = [
        item["spec"]["scaleTargetRef"]["name"]
        for kind in ("HorizontalPodAutoscaler", "ScaledObject")
        for item in kinds(objects, kind)
    ]
    yield from sorted({name for name in scaled if scaled.count(name) > 1})


def amount(quantity: str | int) -> float:
    """A quantity such as 500m or 8Gi as a number."""
    matched = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(quantity))
    assert matched, quantity
    return float(matched[1]) * _UNITS[matched[2]]


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        names_fit,
        labels_fit,
        selectors_find_their_pods,
        mounts_have_volumes,
        ports_are_there,
        requests_are_within_limits,
        references_lead_somewhere,
        pods_restart_as_their_kind_may,
        nothing_scales_one_thing_twice,
    )
}
