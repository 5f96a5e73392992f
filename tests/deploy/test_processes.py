"""Procfile, compose and chart name the same processes, commands, ports and variables (R-DEPLOY-4)."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from simorgh_cli.processes import SERVICES, TORCH_ENVIRONMENT, procfile
from simorgh_shared.settings import DrainSettings
from tests.deploy.compose.rendering import ours, secrets
from tests.deploy.helm import rendering as chart

ROOT = Path(__file__).resolve().parents[2]
NAMES = [service.name for service in SERVICES]
PORTS = {"api": 8000, "inference": 8100}
METRICS_PORT = 9100
IMAGES = {"api": "api", "dispatcher": "api", "migrate": "api", "backup": "api", "inference": "inference"} | {
    "trainer-cpu": "trainer-worker",
    "trainer-gpu": "trainer-worker",
    "io": "trainer-worker",
    "voice-cpu": "voice",
    "voice-gpu": "voice",
}
# In pods these come from the node, from limits, or are left to their defaults; compose has its own ways.
CHART_ALONE = {"SIMORGH_NODE_NAME", "HOME", "PYTHONUNBUFFERED", "OMP_NUM_THREADS", "SIMORGH_DATABASE_DIRECT_URL"}
CHART_ALONE |= {"SIMORGH_VERIFICATION_KEYS", "OTEL_EXPORTER_OTLP_ENDPOINT"}
COMPOSE_ALONE = {"SIMORGH_CORS_ORIGINS", "SIMORGH_S3_PUBLIC_URL"}


@pytest.fixture(scope="module")
def configuration() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "deploy/configuration.py"))


@pytest.fixture(scope="module")
def charted() -> dict[str, chart.Process]:
    return chart.processes(chart.rendered("gpu"))


def image(name: str) -> str:
    return str(ours()[name]["image"]).removeprefix("simorgh/").partition(":")[0]


def variables(name: str) -> set[str]:
    """As settings know them: a secret is the same whether it comes as a file or not."""
    return {variable.removesuffix("_FILE") for variable in ours()[name].get("environment") or {}}


class TestProcfile:
    def test_it_mirrors_the_table(self) -> None:
        assert (ROOT / "Procfile").read_text("utf-8") == procfile()


class TestCompose:
    def test_it_has_all_processes_and_no_others(self) -> None:
        assert set(ours()) - set(NAMES) == {"migrate", "bucket", "volumes", "backup", "restore"}
        assert set(NAMES) - set(ours()) == set()

    @pytest.mark.parametrize("service", SERVICES, ids=NAMES)
    def test_each_has_its_command(self, service: Any) -> None:
        assert tuple(ours()[service.name]["command"]) == service.command

    @pytest.mark.parametrize("name", IMAGES)
    def test_each_runs_its_image(self, name: str) -> None:
        assert image(name) == IMAGES[name]

    @pytest.mark.parametrize("service", SERVICES, ids=NAMES)
    def test_probes_ask_where_it_answers(self, service: Any) -> None:
        port = PORTS.get(service.name, METRICS_PORT)
        environment = ours()[service.name]["environment"]
        assert environment[service.ready_at or "SIMORGH_METRICS_PORT"] == str(port)
        assert f"http://127.0.0.1:{port}/readyz" in " ".join(ours()[service.name]["healthcheck"]["test"])

    @pytest.mark.parametrize("service", SERVICES, ids=NAMES)
    def test_what_loads_torch_waits_passively(self, service: Any) -> None:
        given = ours()[service.name]["environment"].items()
        assert (TORCH_ENVIRONMENT.items() <= given) is service.loads_torch

    def test_a_container_has_longer_to_end_than_its_process_takes(self) -> None:
        default = DrainSettings.model_fields["drain_grace_s"].default
        for name in NAMES:
            given = ours()[name]["environment"].get("SIMORGH_DRAIN_GRACE_S", default)
            minutes, _, seconds = ours()[name]["stop_grace_period"].removesuffix("s").rpartition("m")
            assert 60 * int(minutes or 0) + int(seconds) >= float(given) + 5, name

    def test_each_variable_is_one_that_its_program_reads(self, configuration: dict[str, Any]) -> None:
        known = configuration["variables"]()
        for name, service in ours().items():
            program = (service["command"] or [""])[0].removeprefix("simorgh-")
            for variable, given in (service.get("environment") or {}).items():
                if not variable.startswith("SIMORGH_") or name in {"bucket", "volumes"}:
                    continue
                found = known.get(variable) or known[variable.removesuffix("_FILE")]
                assert program in found.processes, (name, variable)
                assert found.secret is (variable.endswith("_FILE") or given in secrets().values()), (name, variable)

    def test_each_variable_that_has_no_default_is_given(self, configuration: dict[str, Any]) -> None:
        for name, service in ours().items():
            program = (service["command"] or [""])[0].removeprefix("simorgh-")
            needed = {
                variable
                for variable, found in configuration["variables"]().items()
                if program in found.processes and found.field.is_required()
            }
            assert needed - variables(name) == set(), name


class TestTheChart:
    def test_it_has_the_same_processes(self, charted: dict[str, chart.Process]) -> None:
        assert set(NAMES) - set(charted) == set()

    @pytest.mark.parametrize("name", [*NAMES, "migrate"])
    def test_each_has_the_same_command_image_and_port(self, name: str, charted: dict[str, chart.Process]) -> None:
        command = tuple(ours()[name]["command"])
        # In a cluster nothing tells the migration's order: it waits for the database by itself.
        assert charted[name].command == command + (("--wait", "300") if name == "migrate" else ())
        assert charted[name].image == image(name)
        if name != "migrate":
            assert charted[name].port == PORTS.get(name, METRICS_PORT)

    @pytest.mark.parametrize("name", [*NAMES, "migrate"])
    def test_each_is_told_by_the_same_variables(self, name: str, charted: dict[str, chart.Process]) -> None:
        given = charted[name].variables
        assert given - CHART_ALONE - COMPOSE_ALONE == variables(name) - COMPOSE_ALONE

    def test_each_variable_is_one_that_its_program_reads(
        self, charted: dict[str, chart.Process], configuration: dict[str, Any]
    ) -> None:
        known = configuration["variables"]()
        for name, process in charted.items():
            program = process.command[0].removeprefix("simorgh-")
            for variable in process.variables:
                if variable.startswith("SIMORGH_"):
                    assert program in known[variable].processes, (name, variable)
