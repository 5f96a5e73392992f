"""Clients that leave and engines that die, through the gateway: what stops, and what is kept (R-CHAT-2, R-CHAT-3)."""

import json
import os
import signal
from typing import Any

import httpx
import pytest

from tests.api.chat.world import LONG, World, events, ok, refused, say, seconds_until
from tests.support.gateway import Account

_STOPPED_WITHIN_S = 1.0


@pytest.fixture(autouse=True)
def warm(world: World, account: Account) -> None:
    """The engine is loaded and holds nothing."""
    ok(say(account, "x", max_tokens=1))
    world.wait_active(0)


def completion(**fields: Any) -> dict[str, Any]:
    return {"model": "noise", "messages": [{"role": "user", "content": "بگو"}]} | LONG | fields


def assert_stops(world: World) -> None:
    seconds_until(lambda: world.num_active() == 0, _STOPPED_WITHIN_S)


def history(account: Account, conversation_id: str) -> list[dict[str, Any]]:
    return ok(account.client.get("/api/chat/history", params={"conversation_id": conversation_id}))


class TestCompletions:
    def test_leaving_a_stream_stops_the_generation(self, world: World, account: Account) -> None:
        """R-CHAT-3: within a second the engine holds no request."""
        body = completion(stream=True)
        with account.client.stream("POST", "/v1/chat/completions", json=body, timeout=60) as answer:
            lines = answer.iter_lines()
            next(lines)
            assert world.num_active() == 1
        assert_stops(world)

    def test_leaving_a_stream_unread_stops_the_generation(self, world: World, account: Account) -> None:
        """R-CHAT-3: the client leaves before it has read anything."""
        body = completion(stream=True)
        with account.client.stream("POST", "/v1/chat/completions", json=body, timeout=60):
            world.wait_active(1)
        assert_stops(world)

    def test_leaving_a_plain_request_stops_the_generation(self, world: World, account: Account) -> None:
        """R-CHAT-3: though there is nothing to send yet, the gateway notices."""
        with pytest.raises(httpx.ReadTimeout):
            account.client.post("/v1/chat/completions", json=completion(), timeout=0.5)
        assert_stops(world)


class TestChat:
    def test_leaving_in_mid_stream_keeps_what_was_said(self, world: World, account: Account) -> None:
        """R-CHAT-2, R-CHAT-3: the answer stands as far as it came, marked as cancelled; the conversation goes on."""
        body = {"message": "بگو و نایست", "stream": True} | LONG
        seen = ""
        with account.client.stream("POST", "/api/chat", json=body, timeout=60) as answer:
            for name, data in events(answer.iter_lines()):
                if name == "start":
                    conversation_id = data["conversation_id"]
                    assert world.num_messages(conversation_id) == 0
                    assert world.num_open_transactions() == 0
                else:
                    seen += data["content"]
                if len(seen) > 40:
                    break
        assert_stops(world)
        world.engine.wait(lambda: world.num_messages(conversation_id) == 2, "the turn is kept", within_s=10)
        question, cut_off = history(account, conversation_id)
        assert (question["content"], question["position"]) == ("بگو و نایست", 1)
        assert cut_off["content"].startswith(seen)
        assert (cut_off["finish_reason"], cut_off["usage"]) == ("cancelled", None)
        again = ok(say(account, "ادامه بده", conversation_id=conversation_id))
        assert again["message"]["position"] == 4

    def test_leaving_a_plain_request_stops_it_and_keeps_nothing(self, world: World, account: Account) -> None:
        """R-CHAT-2, R-CHAT-3: nothing was said to the client."""
        conversation_id = ok(say(account, "آغاز"))["conversation_id"]
        body = {"message": "بگو", "conversation_id": conversation_id} | LONG
        with pytest.raises(httpx.ReadTimeout):
            account.client.post("/api/chat", json=body, timeout=0.5)
        assert_stops(world)
        assert world.num_messages(conversation_id) == 2

    def test_an_engine_that_dies_in_mid_stream_keeps_nothing_of_the_turn(self, world: World, account: Account) -> None:
        """R-CHAT-2, R-CHAT-3: the stream ends with an error that says so; the next message works."""
        conversation_id = ok(say(account, "آغاز"))["conversation_id"]
        body = {"message": "بگو", "conversation_id": conversation_id, "stream": True} | LONG
        with account.client.stream("POST", "/api/chat", json=body, timeout=60) as answer:
            told = events(answer.iter_lines())
            assert [next(told)[0], next(told)[0]] == ["start", "delta"]
            kill_engine(world)
            rest = list(told)
        assert rest[-1] == ("error", {"code": "engine_lost", "error": rest[-1][1]["error"]})
        assert "send the request again" in rest[-1][1]["error"]
        assert world.num_messages(conversation_id) == 2
        assert ok(say(account, "باز", conversation_id=conversation_id))["message"]["position"] == 4

    def test_a_deleted_conversation_takes_no_answer_any_more(self, world: World, account: Account) -> None:
        """R-CHAT-2: deleted while the model speaks, it does not come back."""
        conversation_id = ok(say(account, "آغاز"))["conversation_id"]
        body = {"message": "بگو", "conversation_id": conversation_id, "stream": True} | LONG
        with account.client.stream("POST", "/api/chat", json=body, timeout=60) as answer:
            told = events(answer.iter_lines())
            next(told)
            ok(account.client.delete(f"/api/chat/conversations/{conversation_id}"))
            rest = list(told)
        assert (rest[-1][0], rest[-1][1]["code"]) == ("error", "conversation_not_found")
        assert world.num_messages(conversation_id) == 0


class TestServerEnds:
    """Last in this module: they end the inference server, and start it again."""

    def test_streams_end_with_an_error_of_their_surface(self, world: World, account: Account) -> None:
        """R-CHAT-3, R-API-3: a stream that has begun says that the server fell silent, and breaks no event in two."""
        body = completion(stream=True)
        with account.client.stream("POST", "/v1/chat/completions", json=body, timeout=60) as answer:
            lines = answer.iter_lines()
            next(lines)
            kill_server(world)
            last = [json.loads(line[6:]) for line in lines if line.startswith("data: {")][-1]
        assert last["error"]["code"] == "inference_unavailable"
        assert last["error"]["type"] == "server_error"
        world.start_inference()
        with account.client.stream("POST", "/api/chat", json={"message": "x", "stream": True} | LONG) as answer:
            told = events(answer.iter_lines())
            conversation_id = next(told)[1]["conversation_id"]
            kill_server(world)
            assert list(told)[-1][1]["code"] == "inference_unavailable"
        assert world.num_messages(conversation_id) == 0
        sentence = refused(say(account, "x"), 503, "inference_unavailable")
        assert sentence == "The inference server does not answer. Try again in 5 s."


def kill_engine(world: World) -> None:
    for engine in world.loaded().values():
        os.kill(engine["pid"], signal.SIGKILL)


def kill_server(world: World) -> None:
    world.engine.processes[-1].kill()
    world.engine.processes[-1].wait()
