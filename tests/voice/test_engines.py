"""Engine children as the worker keeps them, with children that misbehave: a script stands in for the engine."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.domain.jobs import Lane
from simorgh_voice.engine_child import EngineChild, EngineLostError
from simorgh_voice.engines import EngineLimits, Engines

_CHILD = """
import json, os, socket, sys, time
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[sys.argv.index("--socket") + 1])
lines = connection.makefile("rb")
def say(message): connection.sendall(json.dumps(message).encode() + b"\\n")
say({"ready": {}})
for line in lines:
    message = json.loads(line)
    request_id = message["id"]
    exec(%r)
"""
_ANSWERS = 'say({"id": request_id, "type": "result", "pid": os.getpid()})'
_CANCELS = 'message["op"] == "cancel" and say({"id": request_id, "type": "cancelled"})'
_DIES = 'print("a last word", flush=True); os._exit(7)'
_HANGS = 'say({"id": request_id, "type": "progress"}); time.sleep(600)'
REQUEST = {"id": "req_1", "kind": "transcribe"}


@pytest.fixture
def engines_that() -> Iterator[Callable[[str], Engines]]:
    """Engines whose children do this with every message."""
    made: list[Engines] = []

    def make(does: str, script: str = _CHILD) -> Engines:
        command = [sys.executable, "-c", script % does if "%r" in script else script]
        made.append(Engines(EngineLimits(1, 1 << 30, start_timeout_s=20.0), command, let_go_s=1.0))
        return made[-1]

    yield make
    for engines in made:
        engines.close()


def answer(engine: EngineChild) -> list[dict[str, Any]]:
    """What it says until the request has ended."""
    lines: list[dict[str, Any]] = []
    while not lines or lines[-1]["type"] not in ("result", "cancelled"):
        lines += engine.next_lines(10.0)
    return lines


class TestEngines:
    def test_an_engine_that_is_idle_is_lent_again(self, engines_that: Callable[[str], Engines]) -> None:
        """R-VOICE-1: models stay warm; each lane has its own."""
        engines, pids = engines_that(_ANSWERS), []
        for lane in (Lane.SHORT, Lane.SHORT, Lane.LONG):
            with engines.lent(lane) as engine:
                engine.ask(REQUEST)
                pids.append(answer(engine)[-1]["pid"])
        assert pids[0] == pids[1] != pids[2]

    def test_two_at_a_time_are_two_engines(self, engines_that: Callable[[str], Engines]) -> None:
        engines = engines_that(_ANSWERS)
        with engines.lent(Lane.SHORT) as one, engines.lent(Lane.SHORT) as other:
            assert one.pid != other.pid

    def test_a_request_that_is_let_go_is_cancelled(self, engines_that: Callable[[str], Engines]) -> None:
        """R-JOB-3: the engine stays, and what it still said of the old request is not taken for the next one's."""
        engines = engines_that(_CANCELS)
        with engines.lent(Lane.SHORT) as engine:
            engine.ask(REQUEST)
        with engines.lent(Lane.SHORT) as again:
            assert again is engine
            again.ask(REQUEST | {"id": "req_2"})
            again.cancel()
            assert [line["id"] for line in answer(again)] == ["req_2"]

    def test_one_that_does_not_let_go_is_killed(self, engines_that: Callable[[str], Engines]) -> None:
        """R-JOB-3: whatever it does."""
        engines = engines_that(_HANGS)
        with engines.lent(Lane.SHORT) as engine:
            engine.ask(REQUEST)
            assert engine.next_lines(10.0)[0]["type"] == "progress"
        assert not psutil.pid_exists(engine.pid)
        with engines.lent(Lane.SHORT) as other:
            assert other.pid != engine.pid

    def test_one_that_dies_tells_how(self, engines_that: Callable[[str], Engines]) -> None:
        """R-TRAIN-11's sentence: how it ended, and its last words."""
        engines = engines_that(_DIES)
        with engines.lent(Lane.SHORT) as engine:
            engine.ask(REQUEST)
            with pytest.raises(EngineLostError):
                answer(engine)
            assert engine.kill().describe() == "exit code 7"
            assert engine.log_tail() == "a last word"

    @pytest.mark.parametrize(
        ("script", "reason"), [("print('no such library')", "no such library"), ("pass", "it did not answer in time")]
    )
    def test_one_that_does_not_start_is_explained(
        self, engines_that: Callable[[str, str], Engines], script: str, reason: str
    ) -> None:
        with (
            pytest.raises(UnavailableError, match=f"did not start: {reason}"),
            engines_that("", script).lent(Lane.SHORT),
        ):
            pass
