"""What the chart gives the rest of the cluster: an Ingress, metrics, rules, dashboards, backups, the first request."""

import json
from pathlib import Path

import pytest
import yaml

from simorgh_api.settings import ApiSettings
from simorgh_shared.backup.main import backup as backup_program
from tests.deploy.helm.rendering import CHART, Json, Pod, helm, kinds, named, pods, processes, render, rendered
from tests.deploy.helm.value_sets import BUNDLED, EXTERNAL, INGRESS, VALUE_SETS, merged

REPOSITORY = CHART.parents[2]


def _chosen(service: Json, values: str) -> list[Pod]:
    """The pods that a Service sends to."""
    return [pod for pod in pods(rendered(values)) if service["spec"]["selector"].items() <= pod.labels.items()]


class TestIngress:
    """The way in."""

    def _one(self, values: Json) -> Json:
        return named(render(merged(EXTERNAL, INGRESS, values)), "Ingress", "simorgh-api")

    def test_it_ends_tls_for_the_host(self) -> None:
        spec = named(rendered("ingress"), "Ingress", "simorgh-api")["spec"]
        assert spec["tls"] == [{"hosts": ["simorgh.example.org"], "secretName": "simorgh-tls"}]
        assert spec["rules"][0]["host"] == "simorgh.example.org"
        assert spec["ingressClassName"] == "nginx"

    def test_nginx_takes_the_largest_model_and_holds_no_stream_back(self) -> None:
        """R-DEPLOY-3: body size, and timeouts and buffering that server-sent events stand."""
        told = named(rendered("ingress"), "Ingress", "simorgh-api")["metadata"]["annotations"]
        at = "nginx.ingress.kubernetes.io"
        assert (
            int(told[f"{at}/proxy-body-size"].removesuffix("g")) << 30
            > ApiSettings.model_fields["max_model_bytes"].default
        )
        assert (told[f"{at}/proxy-buffering"], told[f"{at}/proxy-request-buffering"]) == ("off", "off")
        assert int(told[f"{at}/proxy-read-timeout"]) >= 600  # the longest answer under /v1

    @pytest.mark.parametrize("controller", ["nginx-inc", "haproxy", "traefik", "other"])
    def test_each_controller_is_told_in_its_own_words(self, controller: str) -> None:
        given = {"ingress": {"controller": controller, "annotations": {"example.org/mine": "yes"}}}
        told = self._one(given)["metadata"]["annotations"]
        prefix = {"nginx-inc": "nginx.org/", "haproxy": "haproxy.org/"}.get(controller)
        assert told.pop("example.org/mine") == "yes"
        assert bool(told) is (prefix is not None)
        assert all(name.startswith(prefix or "-") for name in told)

    def test_what_the_operator_says_goes_first(self) -> None:
        name = "nginx.ingress.kubernetes.io/proxy-read-timeout"
        assert self._one({"ingress": {"annotations": {name: "7"}}})["metadata"]["annotations"][name] == "7"

    def test_metrics_and_probes_stay_inside(self) -> None:
        (rule,) = named(rendered("ingress"), "Ingress", "simorgh-api")["spec"]["rules"]
        paths = [entry["path"] for entry in rule["http"]["paths"]]
        assert not any(
            inner.startswith(path) for path in paths for inner in ("/metrics", "/livez", "/readyz", "/health")
        )

    def test_it_leads_to_services_that_are_there(self) -> None:
        for values in ("ingress", "trial-ingress", "everything"):
            for item in kinds(rendered(values), "Ingress"):
                for entry in item["spec"]["rules"][0]["http"]["paths"]:
                    backend = entry["backend"]["service"]
                    service = named(rendered(values), "Service", backend["name"])
                    assert backend["port"]["number"] in {port["port"] for port in service["spec"]["ports"]}

    def test_clients_are_given_the_storage_as_they_reach_it(self) -> None:
        assert processes(rendered("trial-ingress"))["api"].settings["SIMORGH_S3_PUBLIC_URL"] == "https://s3.example.org"
        assert processes(rendered("ingress"))["api"].settings["SIMORGH_S3_PUBLIC_URL"] == "https://files.example.org"
        assert "SIMORGH_S3_PUBLIC_URL" not in processes(rendered("external"))["api"].settings


class TestServices:
    """Who finds whom."""

    @pytest.mark.parametrize("values", ["trial", "everything", "mirrored"])
    def test_every_service_finds_pods_and_their_port(self, values: str) -> None:
        for service in kinds(rendered(values), "Service"):
            chosen = [
                pod for pod in pods(rendered(values)) if service["spec"]["selector"].items() <= pod.labels.items()
            ]
            assert chosen, service["metadata"]["name"]
            for pod in chosen:
                ports = {port["name"]: port["containerPort"] for port in pod.spec["containers"][0]["ports"]}
                for port in service["spec"]["ports"]:
                    assert port["targetPort"] in {*ports, *ports.values()}

    def test_the_gateway_asks_inference_where_it_is(self) -> None:
        for values in ("trial", "mirrored"):
            address = processes(rendered(values))["api"].settings["SIMORGH_INFERENCE_URL"]
            name, _, port = address.removeprefix("http://").partition(":")
            assert named(rendered(values), "Service", name)["spec"]["ports"][0]["port"] == int(port)


class TestMetrics:
    """R-OPS-3: for Prometheus and Grafana that are there."""

    def test_every_process_is_scraped_once(self) -> None:
        (monitor,) = kinds(rendered("everything"), "ServiceMonitor")
        selector = monitor["spec"]["selector"]
        (expression,) = selector["matchExpressions"]
        found: list[str] = []
        for service in kinds(rendered("everything"), "Service"):
            labels = service["metadata"]["labels"]
            is_named = selector["matchLabels"].items() <= labels.items()
            if is_named and labels[expression["key"]] in expression["values"]:
                for port in service["spec"]["ports"]:
                    assert port["name"] in {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]}
                    found += [pod.component for pod in _chosen(service, "everything")]
        assert sorted(found) == sorted(set(processes(rendered("everything"))) - {"migrate", "backup", "bucket"})

    def test_targets_carry_the_labels_that_dashboards_ask_for(self) -> None:
        (monitor,) = kinds(rendered("monitored"), "ServiceMonitor")
        for endpoint in monitor["spec"]["endpoints"]:
            assert {relabelling["targetLabel"] for relabelling in endpoint["relabelings"]} == {"job", "process"}

    def test_rules_are_those_of_the_repository(self) -> None:
        files = sorted((REPOSITORY / "deploy" / "observability" / "rules").glob("*.yaml"))
        assert files
        for file in files:
            rule = named(rendered("monitored"), "PrometheusRule", f"simorgh-{file.stem}")
            assert rule["spec"] == yaml.safe_load(file.read_text("utf-8"))
            assert rule["metadata"]["labels"]["release"] == "prometheus"

    def test_dashboards_are_those_of_the_repository(self) -> None:
        files = sorted((REPOSITORY / "deploy" / "observability" / "dashboards").glob("*.json"))
        assert files
        for file in files:
            item = named(rendered("monitored"), "ConfigMap", f"simorgh-dashboard-{file.stem}")
            assert json.loads(item["data"][file.name]) == json.loads(file.read_text("utf-8"))
            assert item["metadata"]["labels"]["grafana_dashboard"] == "1"
            assert len(item["data"][file.name]) < 1 << 20  # what a ConfigMap may hold


class TestBackup:
    """R-DEPLOY-5."""

    def test_it_runs_what_the_documentation_says(self) -> None:
        backup = processes(rendered("backup"))["backup"]
        assert backup.command == ("simorgh-backup", "--to", "s3://elsewhere/simorgh", "--keep", "7")
        assert backup.image == "api"
        assert {
            "SIMORGH_DATABASE_OWNER_URL",
            "SIMORGH_S3_ACCESS_KEY_ID",
            "SIMORGH_BACKUP_S3_SECRET_ACCESS_KEY",
        } <= backup.variables

    def test_one_at_a_time(self) -> None:
        (item,) = kinds(rendered("backup"), "CronJob")
        assert item["spec"]["concurrencyPolicy"] == "Forbid"

    def test_the_program_knows_these_arguments(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("sys.argv", ["simorgh-backup", "--help"])
        with pytest.raises(SystemExit):
            backup_program()
        told = capsys.readouterr().out
        command = processes(render(merged(VALUE_SETS["backup"], {"backup": {"verify": True}})))["backup"].command
        assert all(word in told for word in command if word.startswith("--"))

    def test_one_that_is_whole_but_found_losses_is_not_tried_again(self) -> None:
        """Exit code 3."""
        (item,) = kinds(rendered("backup"), "CronJob")
        (rule,) = item["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
        assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [3])


class TestNotes:
    """What helm prints after an installation."""

    def _notes(self, values: Json, folder: Path) -> str:
        file = folder / "values.yaml"
        file.write_text(yaml.safe_dump(values))
        done = helm("install", "simorgh", CHART, "--dry-run=client", "--namespace", "ml", "--values", file)
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("NOTES:")[2]

    def test_the_first_request_is_one_of_the_api(self, tmp_path: Path) -> None:
        notes = self._notes(BUNDLED, tmp_path)
        contract = json.loads((REPOSITORY / "contracts" / "openapi.json").read_text("utf-8"))
        assert "curl -s $API/api/auth/register" in notes
        assert "post" in contract["paths"]["/api/auth/register"]
        assert "kubectl -n ml port-forward service/simorgh-api 8000:8000" in notes
        assert named(rendered("trial"), "Service", "simorgh-api")["spec"]["ports"][0]["port"] == 8000

    def test_it_names_the_host_of_the_ingress(self, tmp_path: Path) -> None:
        notes = self._notes(VALUE_SETS["ingress"], tmp_path)
        assert "API=https://simorgh.example.org" in notes
        assert "port-forward" not in notes
