"""The chart starts the processes that `simorgh up` starts, with settings that their code knows (R-DEPLOY-4)."""

import re

import pytest
import yaml
from pydantic_settings import BaseSettings

from simorgh_api.dispatcher.settings import DispatcherSettings
from simorgh_api.settings import ApiSettings
from simorgh_cli.processes import SERVICES, TORCH_ENVIRONMENT, Service
from simorgh_inference.settings import RegistrySettings, ServerSettings
from simorgh_shared.backup.settings import BackupSettings
from simorgh_shared.settings import DatabaseSettings, LeaseSettings, MigrationSettings, StorageSettings
from simorgh_trainer.settings import TrainerSettings
from simorgh_voice.settings import VoiceSettings
from tests.deploy.helm.rendering import CHART, named, pods, processes, rendered

SETTINGS: dict[str, tuple[type[BaseSettings], ...]] = {
    "simorgh-api": (ApiSettings,),
    "simorgh-dispatcher": (DispatcherSettings,),
    "simorgh-trainer-worker": (TrainerSettings,),
    "simorgh-voice": (VoiceSettings,),
    "simorgh-inference": (ServerSettings, RegistrySettings),
    "simorgh-migrate": (MigrationSettings,),
    "simorgh-backup": (BackupSettings,),
    "python": (StorageSettings,),  # -m simorgh_shared.storage.bucket
}
IMAGES = {
    "simorgh-api": "api",
    "simorgh-dispatcher": "api",
    "simorgh-trainer-worker": "trainer-worker",
    "simorgh-voice": "voice",
    "simorgh-inference": "inference",
}
NOT_SETTINGS = {*TORCH_ENVIRONMENT, "OMP_NUM_THREADS", "PYTHONUNBUFFERED", "HOME", "OTEL_EXPORTER_OTLP_ENDPOINT"}
BY_NAME = {service.name: service for service in SERVICES}


def _names(classes: tuple[type[BaseSettings], ...], *, required: bool = False) -> set[str]:
    return {
        f"SIMORGH_{name.upper()}"
        for one in classes
        for name, field in one.model_fields.items()
        if field.is_required() or not required
    }


def test_the_table_of_the_chart_names_the_same_processes() -> None:
    table = yaml.safe_load((CHART / "files" / "processes.yaml").read_text("utf-8"))
    assert {name: tuple(process["command"]) for name, process in table.items()} == {
        service.name: service.command for service in SERVICES
    }
    assert {name for name, process in table.items() if process.get("gpu")} == {
        service.name for service in SERVICES if service.needs_gpu
    }


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_each_process_is_started_as_everywhere(service: Service) -> None:
    """Same command, its own image, the port at which it answers."""
    process = processes(rendered("gpu"))[service.name]
    assert process.command == service.command
    assert process.image == IMAGES[service.command[0]]
    host = {"simorgh-api": "SIMORGH_API", "simorgh-inference": "SIMORGH_INFERENCE"}.get(
        service.command[0], "SIMORGH_METRICS"
    )
    assert process.settings[f"{host}_PORT"] == str(process.port)
    assert process.settings[f"{host}_HOST"] == "0.0.0.0"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_each_variable_is_one_that_the_process_reads(service: Service) -> None:
    """And all that it cannot do without are there."""
    process = processes(rendered("everything"))[service.name]
    classes = SETTINGS[service.command[0]]
    assert process.variables - NOT_SETTINGS <= _names(classes)
    assert _names(classes, required=True) <= process.variables
    assert (set(TORCH_ENVIRONMENT.items()) <= set(process.settings.items())) is service.loads_torch


def test_the_migration_gets_the_owner_and_nobody_else_does() -> None:
    found = processes(rendered("everything"))
    assert "SIMORGH_DATABASE_OWNER_URL" in found["migrate"].variables
    assert {name for name, process in found.items() if "SIMORGH_DATABASE_OWNER_URL" in process.variables} == {
        "migrate",
        "backup",
    }
    for name in ("migrate", "backup"):
        known = SETTINGS[found[name].command[0]]
        assert found[name].variables - NOT_SETTINGS <= _names(known)
        assert _names(known, required=True) <= found[name].variables


@pytest.mark.parametrize(
    ("variable", "holders"),
    [
        ("SIMORGH_SIGNING_KEY", {"api"}),
        ("SIMORGH_MANIFEST_KEY", {"api", "backup"}),
        ("SIMORGH_INTERNAL_KEY", {"api", "io", "inference"}),
        ("SIMORGH_REDIS_URL", {"api", "dispatcher", "trainer-cpu", "trainer-gpu", "io", "voice-cpu", "voice-gpu"}),
    ],
)
def test_a_secret_is_with_those_alone_that_use_it(variable: str, holders: set[str]) -> None:
    assert {
        name for name, process in processes(rendered("everything")).items() if variable in process.variables
    } == holders


def test_what_waits_for_the_schema_reads_the_database_alone() -> None:
    for pod in pods(rendered("trial")):
        for container in pod.spec.get("initContainers", []):
            names = {variable["name"] for variable in container["env"]}
            assert names - NOT_SETTINGS <= _names((DatabaseSettings,))


@pytest.mark.parametrize("values", ["gpu", "everything"])
def test_a_pod_has_longer_than_its_process_takes_to_end(values: str) -> None:
    """R-DEPLOY-5: what it runs is given back before the kubelet kills it."""
    for name, process in processes(rendered(values)).items():
        if name not in BY_NAME:
            continue
        assert process.grace_s > BY_NAME[name].grace_s
        if name != "dispatcher":
            drain_s = float(process.settings["SIMORGH_DRAIN_GRACE_S"])
            before_s = _pre_stop_s(values, name)
            assert LeaseSettings().drain_grace_s <= drain_s <= process.grace_s - before_s - 5


def _pre_stop_s(values: str, name: str) -> int:
    """In which proxies stop sending, and the process goes on as ever."""
    (pod,) = [pod for pod in pods(rendered(values)) if pod.component == name]
    seconds: int = pod.spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert (seconds > 0) is (name in {"api", "inference"})
    return seconds


def test_gpu_pods_ask_for_gpus_and_run_the_cuda_image() -> None:
    for name, count in (("trainer-gpu", "1"), ("voice-gpu", "1"), ("inference", "2")):
        pod = named(rendered("gpu"), "Deployment", f"simorgh-{name}")["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert (
            container["resources"]["limits"]["nvidia.com/gpu"]
            == container["resources"]["requests"]["nvidia.com/gpu"]
            == count
        )
        assert container["image"].endswith("-cuda")
        assert {"name": "shared-memory", "mountPath": "/dev/shm"} in container["volumeMounts"]
    for pod in pods(rendered("external")):
        assert not pod.spec["containers"][0]["image"].endswith("-cuda")
        assert "nvidia.com/gpu" not in str(pod.spec["containers"][0]["resources"])


def test_gpu_pools_go_where_gpus_are() -> None:
    """Onto tainted nodes too; other pods do not."""
    for pod in pods(rendered("gpu")):
        tolerates = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod.spec.get(
            "tolerations", []
        )
        assert tolerates is (pod.component in {"trainer-gpu", "voice-gpu"})


def test_images_come_from_the_mirror_by_tag_or_digest() -> None:
    """R-DEPLOY-6: no image is named that is not in the values."""
    images = {container["image"] for pod in pods(rendered("mirrored")) for container in pod.containers}
    assert all(image.startswith("registry.example.org:5000/mirror/simorgh/") for image in images)
    assert {image for image in images if re.search(r"/api@sha256:[0-9a-f]{64}$", image)}
    assert all(pod.spec["imagePullSecrets"] == [{"name": "registry"}] for pod in pods(rendered("mirrored")))


def test_variables_of_one_process_go_before_those_of_all() -> None:
    found = processes(rendered("mirrored"))
    assert (found["api"].settings["SIMORGH_LEASE_S"], found["io"].settings["SIMORGH_LEASE_S"]) == ("40", "30")


def test_pods_of_a_process_are_spread_over_zones_and_nodes() -> None:
    for pod in pods(rendered("external")):
        if pod.component in BY_NAME:
            constraints = pod.spec["topologySpreadConstraints"]
            assert [one["topologyKey"] for one in constraints] == [
                "topology.kubernetes.io/zone",
                "kubernetes.io/hostname",
            ]
            assert all(one["labelSelector"]["matchLabels"].items() <= pod.labels.items() for one in constraints)
