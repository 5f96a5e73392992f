"""The journey of the first issue by the command line alone, on the whole platform as real processes."""

import json
import signal
from pathlib import Path

import pytest

from tests.embedded.program import Simorgh, ended, events_until
from tests.embedded.proxy import cutting_proxy
from tests.embedded.terminal import PROMPT, on_terminal
from tests.support.engine import ROWS, Engine
from tests.support.gateway import Gateway

_SETTINGS = {
    "batch_size": 2,
    "sequence_length": 64,
    "vocab_size": 300,
    "learning_rate": 0.001,
    "logging_steps": 1,
    "save_steps": 100,
    "eval_steps": 50,
    "epochs": 100,
    "threads": 1,
    "max_steps": 500,  # still running while a person gives the next command, on a fast machine too
}
SET = [word for key, value in _SETTINGS.items() for word in ("--set", f"{key}={value}")]


def write_rows(path: Path, number: int = len(ROWS)) -> Path:
    lines = [json.dumps({"question": q, "answer": a}, ensure_ascii=False) for q, a in ROWS[:number]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class TestJourney:
    def test_the_whole_journey_with_no_curl(
        self, gateway: Gateway, working_platform: Engine, stranger: Simorgh
    ) -> None:
        """R-API-4, R-TRAIN-4, R-TRAIN-5, R-TRAIN-6, R-CHAT-2: sign up, upload, train, watch, pause, resume,
        checkpoint, stop, resume to the end, chat, and a new job from an older checkpoint."""
        signed_up = stranger.run("login", "--url", gateway.url, "--email", "first@example.test")
        assert "Made an account for first@example.test" in signed_up.stderr
        assert stranger.run("login", "--url", gateway.url, "--email", "first@example.test").stderr == ""
        file = write_rows(stranger.home / "گفتگو.jsonl")
        dataset_id = stranger.ask("datasets", "upload", str(file))["id"]

        run_id = stranger.ask("train", "start", "--model", "simorgh-2m", "--dataset", dataset_id, *SET)["runId"]
        watch_and_pause(stranger, run_id)
        resume_save_and_stop(stranger, run_id)
        stranger.run("train", "resume", run_id)
        last = stranger.run("watch", run_id).stdout
        model_id = stranger.ask("train", "show", run_id)["modelId"]
        assert "resumed from step" in last
        assert f"Run {run_id} succeeded: model {model_id}" in last

        answer = stranger.ask("chat", model_id, "-m", ROWS[1][0], "--temperature", "0", "--max-tokens", "24")
        assert answer["message"]["role"] == "assistant"
        again = stranger.run("chat", "--conversation", answer["conversation_id"], "--max-tokens", "8", said="و بعد؟")
        assert answer["conversation_id"] in again.stderr
        assert again.stdout.endswith("\n")

        saved = stranger.ask("train", "checkpoints", run_id)["checkpoints"]
        older = stranger.run("train", "start", "--from", saved[-1]["id"], "--dataset", dataset_id, *SET, "--watch")
        assert f"resumed from step {saved[-1]['step']}" in older.stdout
        assert [one["phase"] for one in stranger.ask("train", "list")["runs"]] == ["succeeded", "succeeded"]
        assert len(stranger.ask("models")["models"]) == 2


def watch_and_pause(user: Simorgh, run_id: str) -> None:
    """Follow the run live until it moves, and have it paused: the watcher tells and ends."""
    watcher = user.start("watch", run_id, "--json")
    seen = list(events_until(watcher, lambda event: event["event"] == "metrics" and event["step"] >= 2))
    user.run("train", "pause", run_id)
    code, rest, _ = ended(watcher)
    seen += [json.loads(line) for line in rest.splitlines()]
    assert (code, seen[-1]["event"]) == (3, "paused")
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))


def resume_save_and_stop(user: Simorgh, run_id: str) -> None:
    """Without an id the commands are about the run that has not ended."""
    paused_at = user.ask("train", "show")["step"]
    user.run("train", "resume")
    watcher = user.start("watch", "--json")
    list(events_until(watcher, lambda event: event["event"] == "metrics" and event["step"] > paused_at))
    assert user.ask("train", "checkpoint")["runId"] == run_id
    list(events_until(watcher, lambda event: event["event"] == "checkpoint" and event["reason"] == "requested"))
    user.run("train", "stop")
    code, rest, _ = ended(watcher)
    assert (code, json.loads(rest.splitlines()[-1])["event"]) == (3, "stopped")


@pytest.fixture(scope="module")
def model_id(working_platform: Engine, user: Simorgh) -> str:
    """A model that was trained for a few steps."""
    file = write_rows(user.home / "rows.jsonl")
    dataset_id = user.ask("datasets", "upload", str(file))["id"]
    short = ("--set", "max_steps=12", "--watch", "--json")
    settings = SET[: SET.index("max_steps=500") - 1]
    lines = user.run("train", "start", "--dataset", dataset_id, *settings, *short).stdout.splitlines()
    assert json.loads(lines[0])["phase"] == "queued"
    assert json.loads(lines[-1])["event"] == "succeeded"
    (model,) = user.ask("models")["models"]
    return model["id"]


class TestWatch:
    def test_the_stream_of_the_real_gateway_is_whole_through_a_proxy_that_cuts_it(
        self, gateway: Gateway, user: Simorgh, model_id: str
    ) -> None:
        """R-API-4, R-TRAIN-5: by Last-Event-ID nothing is missed or told twice."""
        del model_id  # its run is the newest one
        whole = user.run("watch", "--json").stdout
        token = json.loads(user.login_file.read_text())["logins"][0]["access_token"]
        with cutting_proxy(gateway.url, after_bytes=2_500) as proxy:
            behind = Simorgh(user.home, {"SIMORGH_URL": proxy.url, "SIMORGH_API_KEY": token})
            assert behind.run("watch", "--json").stdout == whole
        assert proxy.num_cuts >= 2


class TestChat:
    def test_on_a_terminal_one_talks_and_the_platform_remembers(self, user: Simorgh, model_id: str) -> None:
        """R-API-4, R-CHAT-2: the conversation is told and gone on with."""
        keys = [PROMPT, "سلام\r", "(conversation ", "", PROMPT, "حالت چطوره؟\r", PROMPT, "\x04"]
        screen = on_terminal(user, "chat", model_id, "--max-tokens", "8", keys=keys)
        conversation_id = screen.partition("(conversation ")[2].partition(",")[0]
        more = ("--conversation", conversation_id, "--max-tokens", "4", "-m", "سه")
        assert user.ask("chat", *more)["message"]["position"] == 6

    def test_what_it_has_no_model_conversation_or_message_for_is_told(self, user: Simorgh, model_id: str) -> None:
        """R-API-4: the API's sentences, exit code 1."""
        assert "There is no model nothing" in user.refuse("chat", "nothing", "-m", "سلام")
        assert "There is no conversation" in user.refuse("chat", "--conversation", "conv_none", "-m", "سلام")
        assert "There is no message" in user.refuse("chat", model_id)
        user.refuse("chat", model_id, "-m", "x", "--temperature", "9", code=2)

    def test_an_answer_that_is_interrupted_ends_the_program(self, user: Simorgh, model_id: str) -> None:
        """R-API-4."""
        process = user.start("chat", model_id, "-m", "سلام", "--max-tokens", "400", "--temperature", "0")
        assert process.stderr is not None
        assert "conversation" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert ended(process)[0] == 130


class TestModels:
    def test_a_model_is_shown_with_what_it_came_from_and_taken_away(self, user: Simorgh, model_id: str) -> None:
        """R-API-4."""
        assert model_id in user.run("models").stdout
        shown = user.run("models", "show", model_id).stdout
        assert user.ask("train", "list")["runs"][0]["runId"] in shown
        user.run("models", "delete", model_id)
        assert "There is no model" in user.refuse("models", "show", model_id)
