"""R-DEPLOY-4, R-OPS-5: Prometheus of compose scrapes every process of the platform, by its name."""

import yaml
from deploy.observability.expressions import FOLDER

from simorgh_cli.processes import SERVICES

PORTS = {"api": 8000, "inference": 8100}


class TestTargets:
    def test_every_process_is_scraped_at_its_port(self) -> None:
        (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
        scraped = {name: one["port"] for one in job["dns_sd_configs"] for name in one["names"]}
        assert scraped == {service.name: PORTS.get(service.name, 9100) for service in SERVICES}

    def test_targets_carry_the_labels_that_every_query_asks_by(self) -> None:
        (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
        assert job["job_name"] == "simorgh"
        assert job["relabel_configs"] == [{"source_labels": ["__meta_dns_name"], "target_label": "process"}]

    def test_grafana_finds_prometheus_and_the_dashboards(self) -> None:
        folder = FOLDER / "grafana" / "provisioning"
        (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())["datasources"]
        assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
        (provider,) = yaml.safe_load((folder / "dashboards" / "simorgh.yaml").read_text())["providers"]
        assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
