"""Every service of compose keeps to the rules (R-DEPLOY-2, R-DEPLOY-3): each rule is also seen to fail."""

import copy
from collections.abc import Callable

import pytest

from tests.deploy.compose.rendering import Json, compose, rendered, secrets, services

# Chowns new volumes and ends; it may do nothing else.
ROOT_ALLOWED = {"volumes"}
CAPABILITIES = {"volumes": ["CHOWN"], "tls": ["NET_BIND_SERVICE"]}
INTERNAL = {"database", "broker", "storage", "serving", "metrics"}
PUBLISHED = {"api", "seaweedfs", "prometheus", "grafana", "tls"}
SHOWN_TO_OTHERS = {"tls"}
ONCE = {"migrate", "bucket", "volumes", "backup", "restore"}
STARTS_CHILDREN = {"api", "trainer-cpu", "trainer-gpu", "io", "voice-cpu", "voice-gpu", "inference"}
"""Their children are of the same user: they could read a file, but not the variables of their parent."""


def runs_as_a_number(name: str, service: Json) -> str:
    user = str(service.get("user", "")).partition(":")[0]
    if not user.isdigit():
        return "runs as whoever its image says"
    return "" if user != "0" or name in ROOT_ALLOWED else "runs as root"


def has_no_capability(name: str, service: Json) -> str:
    kept = service.get("cap_add", [])
    if service.get("cap_drop") != ["ALL"] or service.get("privileged"):
        return "keeps capabilities"
    return "" if kept == CAPABILITIES.get(name, []) else f"takes {kept}"


def gains_no_privileges(name: str, service: Json) -> str:
    del name
    return "" if "no-new-privileges:true" in service.get("security_opt", []) else "may gain privileges"


def writes_to_no_root(name: str, service: Json) -> str:
    del name
    return "" if service.get("read_only") else "writes to its image"


def is_limited(name: str, service: Json) -> str:
    del name
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    return "" if int(limits.get("memory", 0)) > 0 and limits.get("pids", 0) > 0 else "has no limits"


def tells_its_health(name: str, service: Json) -> str:
    if name in ONCE:
        return "" if service["restart"] == "no" else "ends and is started again"
    return "" if service.get("healthcheck", {}).get("test") else "tells nothing of its health"


def mounts_nothing_of_the_engine(name: str, service: Json) -> str:
    del name
    paths = [mount["source"] for mount in service.get("volumes", []) if mount["type"] == "bind"]
    return "; ".join(f"mounts {path}" for path in paths if "docker.sock" in path or path in {"/", "/etc", "/var/run"})


def is_reached_from_here_alone(name: str, service: Json) -> str:
    for port in service.get("ports", []):
        if name not in PUBLISHED:
            return "is published"
        if port.get("host_ip") != "127.0.0.1" and name not in SHOWN_TO_OTHERS:
            return f"is reached at {port.get('host_ip')}"
    return ""


def shows_its_children_no_secret(name: str, service: Json) -> str:
    return "mounts secrets" if name in STARTS_CHILDREN and service.get("secrets") else ""


def holds_no_secret(name: str, service: Json) -> str:
    """In compose's own files; those of the folder `secrets` are for who starts children alone."""
    own = set(secrets().values()) if name in STARTS_CHILDREN else set()
    words = ("PASSWORD", "SECRET", "KEY", "TOKEN", "URL")
    known = ("SIMORGH_S3_ACCESS_KEY_ID", "SIMORGH_S3_ENDPOINT_URL", "SIMORGH_S3_PUBLIC_URL", "SIMORGH_INFERENCE_URL")
    given = (service.get("environment") or {}).items()
    return ", ".join(
        variable
        for variable, value in given
        if any(word in variable for word in words)
        and not variable.endswith("_FILE")
        and variable not in known
        and value not in {"", "false"} | own
    )


RULES: dict[Callable[[str, Json], str], Json] = {
    runs_as_a_number: {"user": "0:0"},
    has_no_capability: {"cap_add": ["SYS_ADMIN"]},
    gains_no_privileges: {"security_opt": []},
    writes_to_no_root: {"read_only": False},
    is_limited: {"deploy": {}},
    tells_its_health: {"healthcheck": {}},
    mounts_nothing_of_the_engine: {"volumes": [{"type": "bind", "source": "/var/run/docker.sock"}]},
    is_reached_from_here_alone: {"ports": [{"host_ip": "0.0.0.0", "published": "8000"}]},
    shows_its_children_no_secret: {"secrets": [{"source": "database_url"}]},
    holds_no_secret: {"environment": {"SIMORGH_SIGNING_KEY": "0123456789"}},
}
"""Each with what breaks it."""


class TestRules:
    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
    def test_every_service_keeps_it(self, rule: Callable[[str, Json], str]) -> None:
        broken = {name: told for name, service in services().items() if (told := rule(name, service))}
        assert broken == {}

    @pytest.mark.parametrize(("rule", "change"), RULES.items(), ids=lambda each: getattr(each, "__name__", ""))
    def test_a_service_that_breaks_it_is_told(self, rule: Callable[[str, Json], str], change: Json) -> None:
        service = copy.deepcopy(services()["api"]) | change
        assert rule("api", service)


class TestNetworks:
    def test_those_of_the_servers_lead_nowhere_else(self) -> None:
        told = {name: bool(network.get("internal")) for name, network in rendered()["networks"].items()}
        assert {name for name, internal in told.items() if internal} == INTERNAL

    @pytest.mark.parametrize(("server", "network"), [("postgres", "database"), ("valkey", "broker")])
    def test_databases_are_in_their_own_alone_and_published_nowhere(self, server: str, network: str) -> None:
        assert list(services()[server]["networks"]) == [network]
        assert not services()[server].get("ports")

    def test_only_who_needs_a_server_reaches_it(self) -> None:
        """The proxy, Prometheus and Grafana see neither database nor broker; the inference server no broker."""
        members = {
            network: {name for name, service in services().items() if network in (service.get("networks") or {})}
            for network in INTERNAL
        }
        assert not {"tls", "prometheus", "grafana", "seaweedfs"} & (members["database"] | members["broker"])
        assert "inference" not in members["broker"]
        assert members["serving"] == {"api", "inference", "io"}

    def test_a_service_reads_no_secret_of_others(self) -> None:
        read = {
            secret: {name for name, service in services().items() if _reads(service, secret)} for secret in secrets()
        }
        assert read["signing_key"] == {"api"}
        assert read["internal_key"] == {"api", "io", "inference"}
        assert read["database_url"] == STARTS_CHILDREN | {"dispatcher"}
        assert read["redis_url"] == (STARTS_CHILDREN | {"dispatcher"}) - {"inference"}
        assert read["database_owner_url"] == {"migrate", "backup", "restore"}
        assert read["postgres_superuser_password"] == {"postgres"}
        assert read["grafana_admin_password"] == {"grafana"}


class TestTheFiles:
    @pytest.mark.parametrize("files", [("compose.yaml",), ("compose.yaml", "compose.gpu.yaml")], ids=["cpu", "gpu"])
    def test_compose_takes_them(self, files: tuple[str, ...]) -> None:
        done = compose(*files)
        assert (done.returncode, done.stderr) == (0, "")

    def test_compose_refuses_what_its_schema_does_not_know(self, tmp_path: object) -> None:
        path = f"{tmp_path}/wrong.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write("services: {api: {image: x, readonly: true}}\n")
        done = compose(path)
        assert done.returncode != 0
        assert "readonly" in done.stderr

    def test_whoever_wants_others_to_come_says_so(self) -> None:
        assert '"host_ip":"0.0.0.0"' in compose(
            "compose.yaml", variables={"PUBLISH_ADDRESS": "0.0.0.0"}
        ).stdout.replace(" ", "")

    def test_services_wait_for_the_migration_and_the_servers(self) -> None:
        for name in ("api", "dispatcher", "trainer-cpu", "trainer-gpu", "io", "voice-cpu", "voice-gpu", "inference"):
            waits = {other: on["condition"] for other, on in services()[name]["depends_on"].items()}
            assert waits["migrate"] == "service_completed_successfully", name
            assert waits["postgres"] == "service_healthy", name


def _reads(service: Json, secret: str) -> bool:
    is_file = any(given["source"] == secret for given in service.get("secrets") or [])
    return is_file or secrets()[secret] in (service.get("environment") or {}).values()
