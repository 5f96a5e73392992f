"""Clients that connect, stream and leave at random: `make trial-clients` in short, against the inference server alone.

They are those of benchmarks/clients.py.
"""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from clients import come_and_go
from streaming import Outcome, ask

from tests.support.inference import InferenceServer
from tests.support.inference import ask as ask_plainly

MOST_HELD = 6
NUM_CLIENTS = 40
SECONDS = 8.0
MOST_TOKENS = (40, 600)  # so long that answers of a model this small overlap


@pytest.fixture(scope="module")
def server(serve: Callable[..., InferenceServer], model_folder: Path) -> InferenceServer:
    return serve("--model-dir", str(model_folder), SIMORGH_MAX_WAITING=str(MOST_HELD))


@pytest.fixture(scope="module")
def engine_pid(server: InferenceServer) -> int:
    return server.pid()


@pytest.fixture(scope="module")
def outcomes(server: InferenceServer, engine_pid: int) -> list[Outcome]:
    """What became of the requests once all clients are gone."""
    del engine_pid
    asked = functools.partial(ask, server.url, {})
    return asyncio.run(come_and_go(asked, "noise", NUM_CLIENTS, SECONDS, MOST_TOKENS))


class TestComingAndGoing:
    def test_each_is_answered_or_told_to_come_again(self, outcomes: list[Outcome]) -> None:
        """R-CHAT-3: 429 with Retry-After beyond the limit; nothing else goes wrong."""
        assert [one for one in outcomes if one.has_failed or (one.status == 200 and one.error)] == []
        assert {one.status for one in outcomes if one.status or not one.has_left} == {200, 429}
        assert any(one.is_whole and one.first_s for one in outcomes)
        assert any(one.has_left and one.status == 200 for one in outcomes)

    def test_no_slot_and_no_connection_is_held_for_those_who_are_gone(
        self, server: InferenceServer, outcomes: list[Outcome], engine_pid: int
    ) -> None:
        """R-CHAT-3: afterwards as many requests as before are taken at a time, by the same engine."""
        del outcomes
        server.wait(lambda: num_held(server) == 0, "no request is held")
        server.wait(lambda: num_connections(server) == 0, "no connection is open")
        with ThreadPoolExecutor(MOST_HELD) as threads:
            given = list(threads.map(lambda _: ask_plainly(server), range(MOST_HELD)))
        assert [one.status_code for one in given] == [200] * MOST_HELD
        assert {engine["pid"] for engine in server.loaded().values()} == {engine_pid}


def num_held(server: InferenceServer) -> int:
    """Requests that the server tells Prometheus to be held."""
    lines = httpx.get(f"{server.url}/metrics", timeout=10).text.splitlines()
    (line,) = [line for line in lines if line.startswith("simorgh_inference_requests_held ")]
    return int(float(line.split()[-1]))


def num_connections(server: InferenceServer) -> int:
    """Clients that are connected to the server."""
    found = psutil.Process(server.process.pid).net_connections("tcp")
    return sum(one.status != psutil.CONN_LISTEN for one in found)
