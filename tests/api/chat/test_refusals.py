"""What cannot be said, and to whom a conversation does not exist: the sentences that a person reads."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from simorgh_shared.schemas.conversations import MAX_MESSAGE_CHARS
from tests.api.chat.world import LONG, World, ok, refused, say
from tests.support.gateway import Account


@pytest.fixture(scope="module")
def conversation_id(account: Account) -> str:
    return ok(say(account, "سلام"))["conversation_id"]


class TestMessage:
    @pytest.mark.parametrize(
        ("fields", "status", "code", "says"),
        [
            ({"message": ""}, 422, "invalid_parameter", "message is empty: it must have at least 1 character"),
            ({"message": " \n\u2003"}, 422, "invalid_parameter", "it is blank: write something"),
            ({"message": "a\0b"}, 422, "invalid_parameter", "it holds a NUL character"),
            ({"message": "ن" * (MAX_MESSAGE_CHARS + 1)}, 422, "invalid_parameter", "at most 100000 characters"),
            ({"mesage": "x"}, 422, "unknown_parameter", "Unknown parameter mesage. Known parameters: model, stream"),
            ({"maxTokens": 1}, 422, "invalid_body", "max_tokens and maxTokens are the same parameter"),
            ({"temperature": 3}, 422, "invalid_parameter", "temperature is 3: it must be less than or equal to 2"),
            ({"stop": ["a"] * 5}, 422, "invalid_body", "stop: it must have at most 4 entries"),
            ({"model": "nothing"}, 404, "model_not_found", "There is no model nothing in this project"),
            ({"conversation_id": "conv_none"}, 404, "conversation_not_found", "There is no conversation conv_none"),
        ],
    )
    def test_it_is_refused_with_a_sentence(
        self, account: Account, fields: dict[str, Any], status: int, code: str, says: str
    ) -> None:
        """R-CHAT-2, R-API-3: streamed as plain, before anything is said."""
        for stream in (False, True):
            assert says in refused(say(account, **{"message": "سلام", "stream": stream} | fields), status, code)

    def test_a_system_text_comes_first_or_not_at_all(self, account: Account, conversation_id: str) -> None:
        """R-CHAT-2."""
        answer = say(account, "سلام", conversation_id=conversation_id, system="Be brief.")
        assert "Leave conversation_id out" in refused(answer, 400, "system_not_first")

    def test_a_project_without_a_model_says_what_to_do(self, sign_up: Callable[[], Account]) -> None:
        """R-CHAT-2: and no conversation is left behind."""
        newcomer = sign_up()
        assert "POST /api/train/start" in refused(say(newcomer, "سلام"), 404, "no_model_yet")
        refused(newcomer.client.post("/api/chat/conversations", json={}), 404, "no_model_yet")
        assert ok(newcomer.client.get("/api/chat/conversations")) == []

    def test_what_the_model_cannot_take_is_told_as_it_says_it(self, account: Account) -> None:
        """R-CHAT-2: the inference server's refusal comes in the shape of this surface; nothing is kept."""
        before = len(ok(account.client.get("/api/chat/conversations")))
        for stream in (False, True):
            sentence = refused(say(account, "z" * 5_000, stream=stream), 400, "context_length_exceeded")
            assert "the model's window holds 2048" in sentence
        assert len(ok(account.client.get("/api/chat/conversations"))) == before

    def test_a_model_whose_files_are_gone_is_told(self, world: World, account: Account) -> None:
        """R-CHAT-2: a deleted model is 404 for its conversations; naming another one goes on."""
        model_id, _ = world.add_model(account.project_id, "short-lived")
        conversation_id = ok(say(account, "سلام", model="short-lived"))["conversation_id"]
        ok(account.client.delete(f"/api/models/{model_id}"))
        answer = say(account, "هنوز؟", conversation_id=conversation_id)
        assert "There is no model short-lived" in refused(answer, 404, "model_not_found")
        assert ok(say(account, "تو چطور؟", conversation_id=conversation_id, model="noise"))["model"] == "noise"


class TestOthers:
    def test_a_conversation_exists_for_its_user_alone(
        self, account: Account, conversation_id: str, sign_up: Callable[[], Account]
    ) -> None:
        """R-CHAT-2, R-AUTH-4: 404 for a stranger, and for another member of the project, even its owner's equal."""
        other = sign_up()
        body = {"email": other.email, "role": "owner"}
        assert account.client.put(f"/api/projects/{account.project_id}/members", json=body).status_code == 200
        path = f"/api/chat/conversations/{conversation_id}"
        for headers in ({}, {"OpenAI-Project": account.project_id}):
            calls = [
                lambda h: other.client.get(path, headers=h),
                lambda h: other.client.patch(path, json={"title": "mine"}, headers=h),
                lambda h: other.client.delete(path, headers=h),
                lambda h: other.client.get(f"{path}/export", headers=h),
                lambda h: other.client.get(f"/api/chat/history?conversation_id={conversation_id}", headers=h),
                lambda h: other.client.post(
                    "/api/chat", json={"message": "x", "conversation_id": conversation_id}, headers=h
                ),
            ]
            for call in calls:
                refused(call(headers), 404, "conversation_not_found")
        assert ok(other.client.get("/api/chat/conversations", headers={"OpenAI-Project": account.project_id})) == []
        cursor = account.client.get(f"/api/chat/history?conversation_id={conversation_id}&limit=1").json()
        params = {"cursor": cursor["next_cursor"]}
        headers = {"OpenAI-Project": account.project_id}
        refused(other.client.get("/api/chat/history", params=params, headers=headers), 400, "invalid_cursor")

    def test_a_viewer_may_chat(self, account: Account, sign_up: Callable[[], Account]) -> None:
        """R-CHAT-2, R-AUTH-4: asking changes nothing that belongs to the project."""
        viewer = sign_up()
        body = {"email": viewer.email, "role": "viewer"}
        assert account.client.put(f"/api/projects/{account.project_id}/members", json=body).status_code == 200
        viewer.client.headers["OpenAI-Project"] = account.project_id
        said = ok(say(viewer, "سلام"))
        assert len(ok(viewer.client.get("/api/chat/history"))) == 2
        assert ok(viewer.client.get("/api/chat/conversations"))[0]["id"] == said["conversation_id"]
        ok(viewer.client.delete(f"/api/chat/conversations/{said['conversation_id']}"))

    def test_nobody_is_let_in_without_signing_in(self, account: Account) -> None:
        """R-AUTH-1."""
        for path in ("/api/chat/history", "/api/chat/conversations"):
            assert httpx.get(f"{account.client.base_url}{path}").status_code == 401
        assert httpx.post(f"{account.client.base_url}/api/chat", json={"message": "x"} | LONG).status_code == 401
