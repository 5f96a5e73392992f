"""Renders the chart, once for each set of values, and tells what came out."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.helm.value_sets import VALUE_SETS

Json = dict[str, Any]
CHART = Path(__file__).parents[3] / "deploy" / "k8s" / "simorgh"
NAMESPACE = "ml"
RELEASE = "simorgh"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # six times as fast, where libyaml is there


@dataclass(frozen=True)
class Pod:
    """A pod template, and what makes pods of it."""

    kind: str
    name: str
    labels: Mapping[str, str]
    spec: Json

    @property
    def component(self) -> str:
        """Which part of the release it is: for processes, their name."""
        return self.labels["app.kubernetes.io/component"]

    @property
    def containers(self) -> list[Json]:
        """All of them, those first that run before the others."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def is_long_running(self) -> bool:
        """Whether it serves until it is told to end."""
        return self.kind in {"Deployment", "StatefulSet", "ScaledJob"}


@dataclass(frozen=True)
class Process:
    """A process of the platform as the chart starts it."""

    command: tuple[str, ...]
    """A console script and its arguments."""
    port: int
    """Where it answers /livez, /readyz and /metrics."""
    image: str
    """The image's name, without registry, repository and tag."""
    variables: frozenset[str]
    """The names of its environment."""
    settings: Mapping[str, str]
    """Those of them whose values stand in the pod."""
    grace_s: int


def helm_program() -> Path:
    """The program. The test is skipped where there is none."""
    program = os.environ.get("SIMORGH_TEST_HELM")
    if not program or not Path(program).is_file():
        pytest.skip("no helm: `make helm` installs it, and SIMORGH_TEST_HELM names it")
    return Path(program)


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it, without a cluster and without the user's own settings."""
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [helm_program(), *arguments],
            env={"PATH": os.defpath, "HOME": home, "KUBECONFIG": f"{home}/none"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def template(values: Mapping[str, Any], *arguments: str, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
    """`helm template` with these values."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(dict(values), file)
        file.flush()
        return helm("template", RELEASE, chart, "--namespace", NAMESPACE, "--values", file.name, *arguments)


def objects_of(text: str) -> list[Json]:
    """The objects in what helm printed."""
    return [part for part in yaml.load_all(text, Loader=_LOADER) if part]


def render(values: Mapping[str, Any], *arguments: str, chart: Path = CHART) -> list[Json]:
    """The objects of a release with these values."""
    done = template(values, *arguments, chart=chart)
    assert done.returncode == 0, done.stderr
    return objects_of(done.stdout)


@cache
def rendered(name: str) -> list[Json]:
    """The objects of one of the sets of values. Nobody may change them."""
    return render(VALUE_SETS[name])


def pods(objects: list[Json]) -> Iterator[Pod]:
    """Every pod template."""
    for item in objects:
        match item["kind"]:
            case "Deployment" | "StatefulSet" | "Job":
                pod = item["spec"]["template"]
            case "CronJob":
                pod = item["spec"]["jobTemplate"]["spec"]["template"]
            case "ScaledJob":
                pod = item["spec"]["jobTargetRef"]["template"]
            case _:
                continue
        yield Pod(item["kind"], item["metadata"]["name"], pod["metadata"]["labels"], pod["spec"])


def named(objects: list[Json], kind: str, name: str) -> Json:
    """The one object of that kind and name."""
    (found,) = [item for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, name)]
    return found


def kinds(objects: list[Json], kind: str) -> list[Json]:
    """All objects of a kind."""
    return [item for item in objects if item["kind"] == kind]


def processes(objects: list[Json]) -> dict[str, Process]:
    """The platform's processes by name, as the chart starts them; `migrate` and `backup` too, whose port is 0."""
    found = {}
    for pod in pods(objects):
        (container,) = pod.spec["containers"]
        if pod.kind == "StatefulSet":
            continue
        environment = container["env"]
        found[pod.component] = Process(
            command=tuple(container["command"]),
            port=container["ports"][0]["containerPort"] if "ports" in container else 0,
            image=container["image"].rpartition("/")[2].partition(":")[0].partition("@")[0],
            variables=frozenset(variable["name"] for variable in environment),
            settings={variable["name"]: variable["value"] for variable in environment if "value" in variable},
            grace_s=pod.spec["terminationGracePeriodSeconds"],
        )
    return found
