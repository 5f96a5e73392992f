"""The journey of the first issue by the command line alone, on the whole platform as real processes."""

import json
from pathlib import Path

from tests.embedded.program import Simorgh, ended, events_until
from tests.support.engine import ROWS, Engine
from tests.support.gateway import Gateway

_SETTINGS = {
    "batch_size": 2,
    "sequence_length": 64,
    "vocab_size": 300,
    "learning_rate": 0.001,
    "logging_steps": 1,
    "save_steps": 20,
    "eval_steps": 10,
    "epochs": 100,
    "threads": 1,
    "max_steps": 120,
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
        assert f"{len(ROWS)}" in stranger.run("datasets").stdout

        run_id = stranger.ask("train", "start", "--model", "simorgh-2m", "--dataset", dataset_id, *SET)["runId"]
        watcher = stranger.start("watch", run_id, "--json")
        seen = list(events_until(watcher, lambda event: event["event"] == "metrics" and event["step"] >= 2))
        stranger.run("train", "pause", run_id)
        code, rest, _ = ended(watcher)
        assert code == 3
        seen += [json.loads(line) for line in rest.splitlines()]
        assert seen[-1]["event"] == "paused"
        assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))

        stranger.run("train", "resume")  # without an id: the run that has not ended
        watcher = stranger.start("watch", "--json")
        paused_at = stranger.ask("train", "show", run_id)["step"]
        list(events_until(watcher, lambda event: event["event"] == "metrics" and event["step"] > paused_at))
        assert stranger.ask("train", "checkpoint")["runId"] == run_id
        list(events_until(watcher, lambda event: event["event"] == "checkpoint" and event["reason"] == "requested"))
        stranger.run("train", "stop", run_id)
        code, rest, _ = ended(watcher)
        assert (code, json.loads(rest.splitlines()[-1])["event"]) == (3, "stopped")

        stranger.run("train", "resume", run_id)
        last = stranger.run("watch", run_id)
        run = stranger.ask("train", "show", run_id)
        assert run["phase"] == "succeeded"
        assert f"Run {run_id} succeeded: model {run['modelId']}" in last.stdout
        assert "resumed from step" in last.stdout

        answer = stranger.ask("chat", run["modelId"], "-m", ROWS[1][0], "--temperature", "0", "--max-tokens", "24")
        assert answer["message"]["role"] == "assistant"
        again = stranger.run("chat", "--conversation", answer["conversation_id"], "--max-tokens", "8", said="و بعد؟")
        assert answer["conversation_id"] in again.stderr
        assert again.stdout.endswith("\n")

        saved = stranger.ask("train", "checkpoints", run_id)["checkpoints"]
        older = stranger.run("train", "start", "--from", saved[-1]["id"], "--dataset", dataset_id, *SET, "--watch")
        assert f"resumed from step {saved[-1]['step']}" in older.stdout
        runs = stranger.ask("train", "list")["runs"]
        assert [one["phase"] for one in runs] == ["succeeded", "succeeded"]
        assert len(stranger.ask("models")["models"]) == 2
