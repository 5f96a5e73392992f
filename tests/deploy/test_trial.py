"""What of `make deploy-test` holds without a container engine."""

import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy" / part) for part in ("images", "trial")]

import bases  # noqa: E402 (the trial's rooms are no packages)
import engine  # noqa: E402


class TestTheTrial:
    def test_without_an_engine_it_says_so_and_ends_with_a_code_of_its_own(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, ROOT / "deploy/trial/run.py", "--folder", tmp_path],
            env={"PATH": str(tmp_path), "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 77
        assert "No container engine can be had here" in done.stderr
        assert done.stdout == ""

    def test_it_makes_every_server_that_compose_names_but_grafana(self) -> None:
        services = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text("utf-8"))["services"].values()
        upstream = {service["image"] for service in services if not service["image"].startswith("${IMAGES")}
        assert upstream - set(bases.SERVERS.values()) == {"grafana/grafana:12.2.0"}
        assert set(bases.SERVERS.values()) <= upstream

    def test_no_file_of_the_project_names_this_machines_index_or_authority(self) -> None:
        files = [
            *ROOT.glob("services/*/Dockerfile"),
            *ROOT.glob("deploy/trial/backing/*"),
            ROOT / "deploy/compose/compose.yaml",
        ]
        assert len(files) > 10
        for path in files:
            assert "ca-certificates.crt" not in path.read_text("utf-8"), path
            assert "find-links" not in path.read_text("utf-8"), path


class TestTraces:
    def test_an_empty_chain_that_accepts_is_no_trace_and_a_rule_is_one(self) -> None:
        quiet = "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\nCOMMIT"
        assert engine._telling(quiet) == []
        assert engine._telling(quiet.replace(":FORWARD ACCEPT", ":FORWARD DROP")) == [":FORWARD DROP"]
        assert engine._telling(f"{quiet}\n:DOCKER -\n-A FORWARD -j DOCKER") == [":DOCKER -", "-A FORWARD -j DOCKER"]
