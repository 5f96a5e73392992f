"""Answers made again, questions in other words, and the way back (R-CHAT-2)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from tests.api.chat.world import SHORT, World, events, ok, refused, say
from tests.support.gateway import Account


def read(account: Account, conversation_id: str) -> list[dict[str, Any]]:
    """What is shown of a conversation, oldest first."""
    return ok(account.client.get("/api/chat/history", params={"conversation_id": conversation_id}))


def post(account: Account, message_id: str, action: str, **fields: Any) -> httpx.Response:
    body = {"json": SHORT | fields} if action != "select" else {}
    return account.client.post(f"/api/chat/messages/{message_id}/{action}", timeout=60, **body)


@pytest.fixture
def talk(account: Account) -> tuple[str, list[dict[str, Any]]]:
    """A conversation of two turns, and its messages."""
    first = ok(say(account, "سلام"))
    ok(say(account, "پرنده چیست؟", conversation_id=first["conversation_id"]))
    return first["conversation_id"], read(account, first["conversation_id"])


class TestRegenerate:
    def test_the_new_answer_stands_beside_the_old_one(self, account: Account, talk: Any) -> None:
        """R-CHAT-2: the new one is shown, the old one is kept and comes back with `select`."""
        conversation_id, said = talk
        made = ok(post(account, said[3]["id"], "regenerate", temperature=1, seed=5))
        assert made["message"]["position"] == 4
        assert made["message"]["alternatives"] == [said[3]["id"], made["message"]["id"]]
        now = read(account, conversation_id)
        assert now[:3] == said[:3]
        assert now[3] == made["message"]
        chosen = ok(post(account, said[3]["id"], "select"))
        assert chosen["content"] == said[3]["content"]
        assert [one["id"] for one in read(account, conversation_id)] == [one["id"] for one in said]

    def test_the_model_is_asked_with_what_stood_before_the_answer(self, account: Account, talk: Any) -> None:
        """R-CHAT-2: greedy, the same answer comes again, for the same number of tokens asked."""
        conversation_id, said = talk
        made = ok(post(account, said[1]["id"], "regenerate"))
        assert made["message"]["content"] == said[1]["content"]
        assert made["usage"] == said[1]["usage"]
        assert [one["id"] for one in read(account, conversation_id)] == [said[0]["id"], made["message"]["id"]]

    def test_what_followed_the_old_answer_comes_back_with_it(self, account: Account, talk: Any) -> None:
        """R-CHAT-2: going on from a new answer loses nothing of what was said after the old one."""
        conversation_id, said = talk
        made = ok(post(account, said[1]["id"], "regenerate", max_tokens=3))
        ok(say(account, "ادامه بده", conversation_id=conversation_id))
        assert [one["role"] for one in read(account, conversation_id)] == ["user", "assistant"] * 2
        ok(post(account, said[1]["id"], "select"))
        assert [one["id"] for one in read(account, conversation_id)] == [one["id"] for one in said]
        ok(post(account, made["message"]["id"], "select"))
        assert read(account, conversation_id)[2]["content"] == "ادامه بده"

    def test_streamed(self, account: Account, talk: Any) -> None:
        """R-CHAT-2: start, deltas, done with the answer as it is kept."""
        conversation_id, said = talk
        path = f"/api/chat/messages/{said[3]['id']}/regenerate"
        with account.client.stream("POST", path, json=SHORT | {"stream": True}, timeout=60) as answer:
            heard = list(events(answer.iter_lines()))
        assert [heard[0][0], heard[-1][0]] == ["start", "done"]
        assert heard[0][1]["conversation_id"] == conversation_id
        assert read(account, conversation_id)[3] == heard[-1][1]["message"]

    def test_an_answer_of_a_path_that_is_not_shown(self, account: Account, talk: Any) -> None:
        """R-CHAT-2: its path is shown again, up to the new answer."""
        conversation_id, said = talk
        ok(post(account, said[0]["id"], "edit", message="درود"))
        made = ok(post(account, said[3]["id"], "regenerate", max_tokens=2))
        shown = [one["id"] for one in read(account, conversation_id)]
        assert shown == [said[0]["id"], said[1]["id"], said[2]["id"], made["message"]["id"]]


class TestEdit:
    def test_another_wording_is_answered_and_stands_beside_the_first(self, account: Account, talk: Any) -> None:
        """R-CHAT-2: what is asked is the conversation before it, and the new words."""
        conversation_id, said = talk
        edited = ok(post(account, said[2]["id"], "edit", message="What is a hoopoe?"))
        now = read(account, conversation_id)
        assert [one["content"] for one in now] == [
            said[0]["content"],
            said[1]["content"],
            "What is a hoopoe?",
            edited["message"]["content"],
        ]
        assert (now[2]["direction"], said[2]["direction"]) == ("ltr", "rtl")
        assert now[2]["alternatives"] == [said[2]["id"], now[2]["id"]]
        assert now[3]["alternatives"] == [now[3]["id"]]
        asked = [{"role": one["role"], "content": one["content"]} for one in now[:3]]
        alone = account.client.post("/v1/chat/completions", json=SHORT | {"model": "noise", "messages": asked})
        assert alone.json()["choices"][0]["message"]["content"] == edited["message"]["content"]

    def test_the_first_message_keeps_the_system_text_and_the_title(self, account: Account) -> None:
        """R-CHAT-2: a conversation is edited from its beginning too."""
        first = ok(say(account, "سلام", system="کوتاه بگو."))
        said = read(account, first["conversation_id"])
        edited = ok(post(account, said[1]["id"], "edit", message="درود"))
        now = read(account, first["conversation_id"])
        assert [one["role"] for one in now] == ["system", "user", "assistant"]
        assert (now[0]["id"], edited["title"]) == (said[0]["id"], first["title"])

    def test_the_export_is_what_is_shown(self, account: Account, talk: Any) -> None:
        """R-CHAT-2: a row for training holds one path."""
        conversation_id, said = talk
        ok(post(account, said[0]["id"], "edit", message="درود"))
        answer = account.client.get(f"/api/chat/conversations/{conversation_id}/export", params={"format": "jsonl"})
        assert "درود" in answer.text
        assert said[2]["content"] not in answer.text
        ok(account.client.delete(f"/api/chat/conversations/{conversation_id}"))
        refused(post(account, said[0]["id"], "select"), 404, "message_not_found")


class TestRefusals:
    def test_each_says_what_can_be_done(self, account: Account, talk: Any, sign_up: Callable[[], Account]) -> None:
        """R-CHAT-2, R-AUTH-4: a question is edited, an answer made again; another's message is not there."""
        _, said = talk
        assert "only questions (user) are edited" in refused(
            post(account, said[1]["id"], "edit", message="نه"), 400, "message_role_unfit"
        )
        refused(post(account, said[0]["id"], "regenerate"), 400, "message_role_unfit")
        refused(post(account, "msg_none", "regenerate"), 404, "message_not_found")
        refused(post(account, said[0]["id"], "edit", message=" "), 422, "invalid_parameter")
        refused(post(account, said[1]["id"], "regenerate", model="nothing"), 404, "model_not_found")
        stranger = sign_up()
        for action, one in (("regenerate", said[1]), ("edit", said[0]), ("select", said[0])):
            refused(post(stranger, one["id"], action, **({"message": "x"} if action == "edit" else {})), 404,
                    "message_not_found")  # fmt: skip

    def test_a_refused_answer_changes_nothing(self, account: Account, talk: Any) -> None:
        """R-CHAT-2: what was shown stays until there is a new answer."""
        conversation_id, said = talk
        refused(post(account, said[1]["id"], "regenerate", model="nothing"), 404, "model_not_found")
        assert read(account, conversation_id) == said


def test_a_gateway_of_the_release_before_goes_on_adding_turns(world: World, account: Account, talk: Any) -> None:
    """R-DEPLOY-5: rows that name no message before them follow the one that is shown."""
    conversation_id, said = talk
    with _session(world) as session:
        for position, role in ((5, "user"), (6, "assistant")):
            session.execute(
                sa.text(
                    "INSERT INTO messages (id, conversation_id, position, role, content, direction)"
                    " VALUES (:id, :conversation, :position, :role, 'قدیمی', 'rtl')"
                ),
                {"id": f"msg_old{position}{said[0]['id']}", "conversation": conversation_id, "position": position,
                 "role": role},
            )  # fmt: skip
    ok(post(account, f"msg_old6{said[0]['id']}", "regenerate"))
    assert [one["content"] for one in read(account, conversation_id)][4] == "قدیمی"
    assert len(read(account, conversation_id)) == 6


@contextmanager
def _session(world: World) -> Iterator[Any]:
    with world.engine.sessions.begin() as session:
        yield session
