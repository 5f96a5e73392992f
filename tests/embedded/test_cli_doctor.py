"""`simorgh doctor` and `simorgh status`."""

import http.server
import json
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate

import pytest

from simorgh_cli.lock import FolderLock
from tests.api.voice.conftest import MANY_LANGUAGES
from tests.embedded.program import Simorgh
from tests.embedded.terminal import on_terminal
from tests.support import model_files
from tests.support.gateway import Gateway


def findings(program: Simorgh, *arguments: str, code: int = 0) -> dict[str, dict]:
    """What the doctor found, by check."""
    told = json.loads(program.run("doctor", "--json", *arguments, code=code).stdout)
    assert told["ok"] is (code == 0)
    return {check["name"]: check for check in told["checks"]}


class TestDoctor:
    def test_nothing_is_wrong_here_and_nothing_is_changed(self, stranger: Simorgh) -> None:
        """R-API-4: PostgreSQL is tried as this user, the other servers' programs are started."""
        found = findings(stranger)
        names = ("python", "torch", "memory", "processor", "openmp", "gpu", "data folder", "disk", "ports")
        assert set(names) <= set(found)
        assert {found[name]["level"] for name in ("postgresql", "valkey", "seaweed", "voice: espeak")} == {"ok"}
        assert (found["data folder"]["level"], found["data folder"]["advice"][:10]) == ("note", "simorgh up")
        assert all(re.fullmatch(r"version \d+(\.\d+)+", found[name]["found"]) for name in ("valkey", "seaweed"))
        assert found["api"]["advice"] == "Start one with: simorgh up"
        assert list(stranger.home.iterdir()) == []
        assert "Nothing is wrong." in on_terminal(stranger, "doctor")

    @pytest.mark.parametrize("folder", ["file/data", "/proc/simorgh"])
    def test_a_data_folder_that_cannot_be_written_is_found(self, stranger: Simorgh, folder: str) -> None:
        """R-API-4: exit code 1, and what to do."""
        (stranger.home / "file").write_text("in the way")
        found = findings(stranger, "--data", folder, code=1)
        assert found["data folder"]["level"] == "wrong"
        assert "--data DIR" in found["data folder"]["advice"]
        shown = stranger.run("doctor", "--data", folder, code=1).stdout
        assert "WRONG data folder" in shown
        assert "checks found something wrong." in shown

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
    def test_a_folder_that_the_user_of_postgresql_cannot_reach_is_found(self, stranger: Simorgh) -> None:
        """R-API-4: root without user namespaces runs PostgreSQL as nobody, whom this home does not let in."""
        stranger.home.chmod(0o700)
        (stranger.home / "rm").symlink_to(shutil.which("rm") or "")
        stranger.variables["PATH"] = str(stranger.home)  # there is no `unshare`
        found = findings(stranger, code=1)
        assert "as nobody it could not use" in found["postgresql"]["found"]

    def test_a_taken_port_is_wrong_only_where_it_was_asked_for(self, stranger: Simorgh) -> None:
        """R-API-4."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            stranger.variables["SIMORGH_API_PORT"] = str(other.getsockname()[1])
            assert findings(stranger, code=1)["ports"]["level"] == "wrong"
        assert findings(stranger)["ports"]["level"] == "ok"

    def test_variables_that_slow_training_are_told(self, stranger: Simorgh) -> None:
        """R-API-4."""
        stranger.variables["OMP_NUM_THREADS"] = "4096"
        assert "unset OMP_NUM_THREADS" in findings(stranger)["openmp"]["advice"]
        stranger.variables = {"OMP_WAIT_POLICY": "ACTIVE"}
        assert "OMP_WAIT_POLICY=PASSIVE" in findings(stranger)["openmp"]["advice"]

    def test_an_api_that_answers_is_looked_at(self, gateway: Gateway, new_user: Callable[[], Simorgh]) -> None:
        """R-API-4: its parts, its clock, who is signed in, and who may read the tokens."""
        user = new_user()
        found = findings(user)
        assert {found[f"api: {part}"]["found"] for part in ("database", "migrations", "storage")} == {"ok"}
        assert found["clock"]["level"] == "ok"
        assert "signed in as sara-" in found["login"]["found"]
        assert found["voice: whisper"]["advice"].startswith("make voice-models")
        model_files.write(user.home / "whisper", MANY_LANGUAGES)
        user.run("models", "upload", "whisper")
        assert (findings(user)["voice: whisper"]["level"], findings(user)["voice: whisper"]["found"]) == (
            "ok",
            "whisper",
        )
        user.login_file.chmod(0o644)
        assert findings(user, code=1)["login file"]["advice"] == f"chmod 600 {user.login_file}"

    def test_a_platform_here_whose_worker_for_voice_is_gone_is_found(self, gateway: Gateway, stranger: Simorgh) -> None:
        """R-API-4, R-VOICE-1: by the table of the processes that run."""
        data_dir = stranger.home / "data"
        running = FolderLock(data_dir)
        for pid, level in ((os.getpid(), "ok"), (None, "wrong")):
            known = {"api_url": gateway.url, "processes": {"api": 1, "voice-cpu": pid}}
            (data_dir / "endpoints.json").write_text(json.dumps(known))
            found = findings(stranger, code=0 if pid else 1)
            assert found["voice: worker"]["level"] == level
        assert "voice-cpu.log" in found["voice: worker"]["advice"]
        running.release()

    def test_an_api_that_is_named_and_does_not_answer_is_wrong(self, stranger: Simorgh) -> None:
        """R-API-4."""
        found = findings(stranger, "--url", "http://127.0.0.1:9", code=1)
        assert found["api"]["level"] == "wrong"

    def test_parts_that_are_down_and_a_clock_that_is_off_are_told(self, stranger: Simorgh, ailing: str) -> None:
        """R-API-4: without the broker work goes on; without the database it does not."""
        found = findings(stranger, "--url", ailing, code=1)
        assert found["api: database"]["level"] == "wrong"
        assert found["api: broker"]["level"] == "note"
        assert "3600 s behind" in found["clock"]["found"].replace("3599", "3600").replace("3601", "3600")


class TestStatus:
    def test_parts_and_active_jobs_of_a_platform_elsewhere(self, gateway: Gateway, user: Simorgh) -> None:
        """R-API-4: for a remote URL the readiness parts and the active jobs."""
        run_id = user.ask("train", "start", "--name", "چشم‌به‌راه", "--set", "max_steps=1")["runId"]
        shown = user.run("status").stdout
        assert run_id in shown
        assert "چشم‌به‌راه" in shown
        told = user.ask("status", "--url", gateway.url)
        assert told["ready"] is True
        assert {"database", "storage", "broker"} <= set(told["parts"])
        # Beside it, perhaps, the job that looks through the sample.
        assert [job["id"] for job in told["jobs"] if job["type"] == "train"] == [run_id]
        user.run("train", "cancel", run_id)
        assert "train" not in {job["type"] for job in user.ask("status")["jobs"]}

    def test_without_a_login_the_parts_are_shown_alone(self, gateway: Gateway, stranger: Simorgh) -> None:
        """R-API-4."""
        done = stranger.run("status", "--url", gateway.url)
        assert "database" in done.stdout
        assert "simorgh login" in done.stderr

    def test_a_needed_part_that_is_down_ends_it_with_1(self, stranger: Simorgh, ailing: str) -> None:
        """R-API-4."""
        assert "database     does not answer" in stranger.run("status", "--url", ailing, code=1).stdout

    def test_where_nothing_runs_it_says_so(self, stranger: Simorgh) -> None:
        """R-API-4."""
        assert stranger.run("status", code=1).stdout == f"Nothing runs on {stranger.home / 'data'}.\n"
        assert json.loads(stranger.run("status", "--json", code=1).stdout)["running"] is False


class TestTrain:
    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("--set", "learnRate=1"), "Unknown parameter learnRate. Known parameters: model_name, dataset_id, method"),
            (("--set", "learning_rate=-1"), "greater than 0"),
            (("--dataset", "ds_none"), "There is no dataset ds_none in this project"),
            (("--from", "ckpt_none"), "There is no checkpoint ckpt_none in this project"),
        ],
    )
    def test_a_run_that_cannot_be_is_refused(self, user: Simorgh, arguments: tuple[str, ...], says: str) -> None:
        """R-API-4, R-TRAIN-2: in the API's words on standard error."""
        assert says in user.refuse("train", "start", *arguments)

    @pytest.mark.parametrize(
        "arguments", [("--set", "epochs"), ("--set", "seed=1", "--set", "seed=2"), ("--model", "a", "--set", "model=b")]
    )
    def test_settings_that_contradict_each_other_are_wrong_usage(self, user: Simorgh, arguments: tuple) -> None:
        """R-API-4: exit code 2; nothing that was said is ignored."""
        user.refuse("train", "start", *arguments, code=2)

    def test_what_a_run_does_not_allow_is_told(self, user: Simorgh) -> None:
        """R-API-4."""
        assert "There is no active training run" in user.refuse("train", "pause")
        run_id = user.ask("train", "start")["runId"]
        assert "is not possible" in user.refuse("train", "checkpoint", run_id)
        assert user.ask("train", "cancel", run_id)["phase"] == "cancelled"
        assert run_id in user.run("train", "checkpoints", run_id).stderr
        assert "None of the newest runs has checkpoints. A run saves every save_steps" in (
            user.run("train", "checkpoints").stderr
        )
        assert " cancelled" in user.run("train", "logs", run_id).stdout
        assert user.run("watch", run_id, code=3).stdout.endswith(f"Run {run_id} is cancelled.\n")
        assert "There is no run job_none" in user.refuse("watch", "job_none")


class _Ailing(http.server.BaseHTTPRequestHandler):
    """An API whose database and broker are down, and whose clock is an hour behind."""

    def do_GET(self) -> None:
        parts = {"database": "does not answer", "storage": "ok", "broker": "does not answer"}
        self.send_response(503 if self.path == "/readyz" else 200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"ok": False, "data": {"status": "unavailable", "parts": parts}}).encode())

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(time.time() - 3600, usegmt=True)

    def log_message(self, *_args: object) -> None:
        return


@pytest.fixture
def ailing() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Ailing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()
