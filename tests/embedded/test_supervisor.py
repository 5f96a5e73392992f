"""`simorgh up`: one supervisor a folder, crashes restarted, nothing left behind."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from simorgh_cli import lock
from simorgh_cli.processes import procfile
from simorgh_cli.supervisor import BackOff
from tests.support.stack import Bucket, Database

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0


def wait_for(look: Callable[[], object], what: str):
    deadline = time.monotonic() + DEADLINE_S
    while not (seen := look()):
        assert time.monotonic() < deadline, f"no {what} within {DEADLINE_S} s"
        time.sleep(0.02)
    return seen


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


class SmallPlatform:
    """The platform with small services, as a process of its own."""

    def __init__(self, folder: Path, **extra: str) -> None:
        self.folder = folder
        self.output_path = folder.parent / f"{folder.name}.out"
        given = {name: value for name, value in os.environ.items() if not name.startswith("SIMORGH_")}
        with self.output_path.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("small_platform.py")), str(folder)],
                env=given | extra,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.members: set[psutil.Process] = set()

    @property
    def output(self) -> str:
        return self.output_path.read_text()

    def wait_up(self) -> dict:
        def look() -> bool:
            assert self.process.poll() is None, self.output
            return "Simorgh is up" in self.output

        wait_for(look, "summary")
        self.note_members()
        return json.loads((self.folder / "endpoints.json").read_text())

    def note_members(self) -> None:
        self.members.update(psutil.Process(self.process.pid).children(recursive=True))

    def end(self, number: signal.Signals) -> int:
        self.note_members()
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)

    def survivors(self) -> list[str]:
        found = []
        for process in self.members:
            with contextlib.suppress(psutil.NoSuchProcess):  # it may end, or be a zombie, between two looks
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
        return found


@pytest.fixture(scope="class")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallPlatform]:
    started = SmallPlatform(tmp_path_factory.mktemp("up") / "data")
    started.wait_up()
    yield started
    if started.process.poll() is None:
        started.end(signal.SIGTERM)


class TestUp:
    def test_second_start_on_the_folder_says_who_has_it(self, platform: SmallPlatform) -> None:
        second = subprocess.run(
            [sys.executable, "-m", "simorgh_cli.cli", "up", "--data", str(platform.folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        address = json.loads((platform.folder / "endpoints.json").read_text())["api_url"]
        assert second.stderr.startswith(f"simorgh: Simorgh runs on {platform.folder} already")
        assert str(platform.process.pid) in second.stderr
        assert address in second.stderr

    def test_status_names_the_processes(self, platform: SmallPlatform) -> None:
        shown = subprocess.run(
            [sys.executable, "-m", "simorgh_cli.cli", "status", "--data", str(platform.folder)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert {"postgres", "valkey", "seaweed", "web"} <= set(shown.split())

    def test_status_tells_programs_the_same(self, platform: SmallPlatform) -> None:
        """R-API-4."""
        asked = [sys.executable, "-m", "simorgh_cli.cli", "status", "--json", "--data", str(platform.folder)]
        told = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
        assert told["running"] is True
        assert told["pid"] == platform.process.pid
        assert {"postgres", "valkey", "seaweed", "web"} <= {process["name"] for process in told["processes"]}

    def test_crashing_process_is_restarted_with_back_off_and_its_words_are_shown(self, platform: SmallPlatform) -> None:
        """R-DEPLOY-1."""
        wait_for(lambda: platform.output.count("crasher ended") >= 4, "fourth crash")
        waits = re.findall(r"crasher ended with exit code 1; starting it again in ([0-9.]+) s", platform.output)
        assert waits[:4] == ["0.1", "0.2", "0.4", "0.8"]
        last = platform.output.split("crasher ended")[3]
        assert last.count("  crasher | the disk of the crasher is full") == 1

    def test_killed_database_comes_back_with_its_rows(self, platform: SmallPlatform) -> None:
        known = json.loads((platform.folder / "endpoints.json").read_text())
        kept = json.loads((platform.folder / "secrets.json").read_text())
        port = json.loads((platform.folder / "ports.json").read_text())["postgres"]
        url = f"postgresql://simorgh_owner:{kept['postgres_owner_password']}@127.0.0.1:{port}/simorgh"
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        os.kill(known["processes"]["postgres"], signal.SIGKILL)

        def rows() -> list | None:
            try:
                with psycopg.connect(url) as connection:
                    return connection.execute("SELECT value FROM kept").fetchall()
            except psycopg.OperationalError:
                return None

        wait_for(lambda: "postgres ended with signal SIGKILL" in platform.output, "word of the crash")
        assert wait_for(rows, "database") == [(7,)]

    def test_status_follows_a_service_that_was_killed(self, platform: SmallPlatform) -> None:
        """R-DEPLOY-1: its new process under its own name; nothing that is no service, and no zombie."""
        known = json.loads((platform.folder / "endpoints.json").read_text())
        dead = known["processes"]["web"]
        os.kill(dead, signal.SIGKILL)

        def restarted() -> int | None:
            pid = json.loads((platform.folder / "endpoints.json").read_text())["processes"]["web"]
            return pid if pid not in (None, dead) else None

        pid = wait_for(restarted, "another process of the service")
        wait_for(lambda: answers(known["api_url"]), "answer of the service")
        asked = [sys.executable, "-m", "simorgh_cli.cli", "status", "--json", "--data", str(platform.folder)]
        told = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)["processes"]
        assert {process["name"] for process in told} == set(known["processes"])
        assert {process["pid"] for process in told if process["name"] == "web"} == {pid}
        assert "zombie" not in {process["status"] for process in told}
        shown = subprocess.run(
            [one for one in asked if one != "--json"], capture_output=True, text=True, check=True
        ).stdout
        assert f"pid {pid}" in shown

    def test_orphans_that_end_are_reaped(self, platform: SmallPlatform) -> None:
        """R-DEPLOY-1: the supervisor inherits what its services leave behind."""
        known = json.loads((platform.folder / "endpoints.json").read_text())
        assert httpx.get(f"{known['api_url']}/orphan").status_code == 200
        orphan = int((platform.folder / "orphan").read_text().split()[1])
        wait_for(lambda: not psutil.pid_exists(orphan), "end of the orphan, with nothing left of it")

    def test_services_never_see_the_owners_address(self, platform: SmallPlatform) -> None:
        known = json.loads((platform.folder / "endpoints.json").read_text())
        seen = httpx.get(known["api_url"]).text
        assert "SIMORGH_DATABASE_URL" in seen
        assert "SIMORGH_DATABASE_OWNER_URL" not in seen

    def test_sigterm_leaves_nothing_behind(self, platform: SmallPlatform) -> None:
        assert platform.end(signal.SIGTERM) == 0, platform.output
        assert len(platform.members) > 5
        assert platform.survivors() == []
        assert not (platform.folder / "endpoints.json").exists()
        assert not lock.is_held(platform.folder)


class TestSupervisorKilled:
    def test_children_die_with_it_and_the_folder_can_be_used_again(self, tmp_path: Path) -> None:
        first = SmallPlatform(tmp_path / "data")
        # Not the crasher: it may have ended since its pid was noted.
        pids = [pid for name, pid in first.wait_up()["processes"].items() if name != "crasher"]
        servers = {psutil.Process(pid) for pid in pids}
        first.end(signal.SIGKILL)
        first.members = servers  # the grandchild that ties itself to nobody is beyond a dead supervisor
        wait_for(lambda: not first.survivors(), "end of the children")
        for process in psutil.process_iter(["cmdline"]):
            if str(first.folder) in (process.info["cmdline"] or []):
                process.kill()

        second = SmallPlatform(tmp_path / "data")
        second.wait_up()
        assert second.end(signal.SIGINT) == 0
        assert second.survivors() == []


class TestExternalServers:
    def test_given_addresses_are_used_and_nothing_is_started_for_them(
        self, tmp_path: Path, database: Database, redis_url: str, bucket: Bucket
    ) -> None:
        started = SmallPlatform(
            tmp_path / "data",
            SIMORGH_DATABASE_URL=database.url,
            SIMORGH_DATABASE_OWNER_URL=database.owner_url,
            SIMORGH_REDIS_URL=redis_url,
            **bucket.environment(),
        )
        known = started.wait_up()
        assert set(known["processes"]) == {"web", "crasher"}
        assert not (tmp_path / "data" / "postgres").exists()
        assert started.end(signal.SIGTERM) == 0

    def test_storage_address_without_keys_is_refused(self, tmp_path: Path) -> None:
        refused = subprocess.run(
            [sys.executable, "-m", "simorgh_cli.cli", "up", "--data", str(tmp_path / "data")],
            env={**os.environ, "SIMORGH_S3_ENDPOINT_URL": "http://127.0.0.1:1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode == 1
        assert "SIMORGH_S3_ACCESS_KEY_ID is not set" in refused.stderr


class TestIsHeld:
    def test_a_folder_that_cannot_be_is_held_by_nobody(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        for folder in (tmp_path / "missing", tmp_path / "file" / "data"):
            assert not lock.is_held(folder)
            assert lock.read_holder(folder) == {}


class TestBackOff:
    def test_wait_doubles_up_to_the_limit(self) -> None:
        back_off = BackOff(first_s=1.0, most_s=5.0)
        assert [back_off.wait_s(n) for n in (1, 2, 3, 4, 1000)] == [1.0, 2.0, 4.0, 5.0, 5.0]


class TestProcfile:
    def test_names_the_same_processes_as_the_table(self) -> None:
        """R-DEPLOY-4."""
        assert (ROOT / "Procfile").read_text() == procfile()
