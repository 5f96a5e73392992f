"""What every pod of the chart must be: each rule lists what breaks it. More than PodSecurity `restricted` asks."""

from collections.abc import Callable, Iterator

from tests.deploy.helm.rendering import Json, Pod

Rule = Callable[[Pod], Iterator[str]]
_VOLUMES = {"configMap", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
_OPEN_NAMES = {"SIMORGH_SIGNING_KEY_FILE", "SIMORGH_MANIFEST_KEY_FILE"}
_SECRET_WORDS = ("PASSWORD", "SECRET", "_KEY", "TOKEN", "CREDENTIAL")
_URLS_WITH_PASSWORDS = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_DIRECT_URL", "REDIS_URL")


def runs_as_a_numbered_user(pod: Pod) -> Iterator[str]:
    """No container runs as root, nor as a name whose number only the image knows."""
    security = pod.spec["securityContext"]
    for container in pod.containers:
        both = security | container["securityContext"]
        if both.get("runAsNonRoot") is not True or not both.get("runAsUser"):
            yield f"{container['name']} may run as root: {both}"


def gains_no_privileges(pod: Pod) -> Iterator[str]:
    """No capability, no set-user-id, nothing of the host's."""
    for container in pod.containers:
        security = container["securityContext"]
        if security.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{container['name']} keeps capabilities"
        if security.get("allowPrivilegeEscalation") is not False or security.get("privileged"):
            yield f"{container['name']} can gain privileges"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield f"{container['name']} takes a port of the host"
    if any(pod.spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")):
        yield "it shares namespaces with the host"


def is_confined_by_seccomp(pod: Pod) -> Iterator[str]:
    """The runtime's own profile."""
    for container in pod.containers:
        both = pod.spec["securityContext"] | container["securityContext"]
        if both.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{container['name']} has no seccomp profile"


def writes_only_into_its_volumes(pod: Pod) -> Iterator[str]:
    """The root is read-only; /tmp is a volume; every volume that can be written has an end."""
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
    for container in pod.containers:
        if container["securityContext"].get("readOnlyRootFilesystem") is not True:
            yield f"{container['name']} can write anywhere"
        if "/tmp" not in {mount["mountPath"] for mount in container.get("volumeMounts", [])}:
            yield f"{container['name']} has no /tmp"
    for name, volume in volumes.items():
        (kind,) = set(volume) - {"name"}
        if kind not in _VOLUMES:
            yield f"volume {name} is a {kind}"
        if kind == "emptyDir" and "sizeLimit" not in volume["emptyDir"]:
            yield f"volume {name} can fill the node's disk"


def says_what_it_needs(pod: Pod) -> Iterator[str]:
    """Requests of processors and memory, and a limit of memory."""
    for container in pod.containers:
        resources = container.get("resources", {})
        for kind, names in (("requests", ("cpu", "memory")), ("limits", ("memory",))):
            for name in names:
                if name not in resources.get(kind, {}):
                    yield f"{container['name']} has no {kind}.{name}"


def tells_how_it_is(pod: Pod) -> Iterator[str]:
    """What serves has the three probes; ours ask what they mean: ready = all parts there, live = it answers."""
    if not pod.is_long_running:
        return
    for container in pod.spec["containers"]:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe not in container:
                yield f"{container['name']} has no {probe}"
        if pod.kind != "StatefulSet":
            paths = [
                container.get(f"{probe}Probe", {}).get("httpGet", {}).get("path")
                for probe in ("startup", "liveness", "readiness")
            ]
            if paths != ["/livez", "/livez", "/readyz"]:
                yield f"{container['name']} is asked at {paths}"


def knows_nothing_of_the_cluster(pod: Pod) -> Iterator[str]:
    """No token, and no variables for the Services beside it: SIMORGH_API_PORT=tcp://… would be taken for a setting."""
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield "it gets a token of the cluster"
    if pod.spec.get("enableServiceLinks") is not False:
        yield "it gets variables for every Service"


def runs_what_was_released(pod: Pod) -> Iterator[str]:
    """Images by tag or digest, and never `latest`."""
    for container in pod.containers:
        name = container["image"].rpartition("/")[2]
        if ":" not in name or name.endswith(":latest"):
            yield f"{container['name']} runs {container['image']}"


def shows_no_secret(pod: Pod) -> Iterator[str]:
    """Neither in a variable nor on the command line."""
    for container in pod.containers:
        for variable in container.get("env", []):
            name = variable["name"]
            looks_secret = any(word in name for word in _SECRET_WORDS) or name.endswith(_URLS_WITH_PASSWORDS)
            if "value" in variable and looks_secret and name not in _OPEN_NAMES:
                yield f"{container['name']}: {name} stands in the pod"
        for word in (*container.get("command", []), *container.get("args", [])):
            if "requirepass" in word or "password=" in word.lower():
                yield f"{container['name']}: a password on the command line"


def names_each_variable_once(pod: Pod) -> Iterator[str]:
    """A second one of a name would go unseen."""
    for container in pod.containers:
        names = [variable["name"] for variable in container.get("env", [])]
        yield from (f"{container['name']}: {name} twice" for name in sorted(set(names)) if names.count(name) > 1)


def ends_in_its_own_time(pod: Pod) -> Iterator[str]:
    """It is told how long it may take; whoever takes requests waits first until no proxy sends any more."""
    if pod.spec.get("terminationGracePeriodSeconds", 0) < 20:
        yield "it is killed before it has ended"
    for container in pod.spec["containers"]:
        takes_requests = any(port["name"] == "http" for port in container.get("ports", []))
        if takes_requests and "preStop" not in container.get("lifecycle", {}):
            yield f"{container['name']} stops listening while proxies still send"


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        runs_as_a_numbered_user,
        gains_no_privileges,
        is_confined_by_seccomp,
        writes_only_into_its_volumes,
        says_what_it_needs,
        tells_how_it_is,
        knows_nothing_of_the_cluster,
        runs_what_was_released,
        shows_no_secret,
        names_each_variable_once,
        ends_in_its_own_time,
    )
}


def broken(objects_pods: list[Pod]) -> list[str]:
    """All rules on all of these pods."""
    return [f"{pod.name}: {what}" for pod in objects_pods for rule in RULES.values() for what in rule(pod)]


def first(pod: Pod) -> Json:
    """Its main container."""
    container: Json = pod.spec["containers"][0]
    return container
