"""Conversations over HTTP with a real model: what is answered, and what of it stays (R-CHAT-2)."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

import httpx
import sqlalchemy as sa

from tests.api.chat.world import World, events, ok, refused, say
from tests.support.gateway import Account

QUESTIONS = ("سلام! حالِ شما چطور است؟ می‌خواهم درباره‌ی پرندگان ایران بیشتر بدانم", "What is a hoopoe?", "123 - هدهد")

_EIGHTY_LONG_TURNS = sa.text(
    """
    INSERT INTO messages (id, conversation_id, position, role, content, direction)
    SELECT 'msg_' || :id || n, :id, n, CASE n % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, repeat('پر', 10000), 'rtl'
    FROM generate_series(2, 161) n
    """
)


def read(account: Account, conversation_id: str, **params: Any) -> list[dict[str, Any]]:
    """What was said, oldest first."""
    return ok(account.client.get("/api/chat/history", params={"conversation_id": conversation_id} | params))


def export(account: Account, conversation_id: str, form: str) -> httpx.Response:
    answer = account.client.get(f"/api/chat/conversations/{conversation_id}/export", params={"format": form})
    assert answer.status_code == 200, answer.text
    return answer


class TestJourney:
    def test_a_conversation_over_three_turns(self, account: Account) -> None:
        """R-CHAT-2: each turn knows the ones before; direction, title, usage and model are told and kept."""
        first = ok(say(account, QUESTIONS[0]))
        conversation_id = first["conversation_id"]
        assert first["title"] == "سلام! حالِ شما چطور است؟ می‌خواهم درباره‌ی پرندگان ایران"
        second = ok(say(account, QUESTIONS[1], conversation_id=conversation_id))
        camel = {"message": QUESTIONS[2], "conversationId": conversation_id, "maxTokens": 5, "topP": 0.5}
        third = ok(account.client.post("/api/chat", json=camel, timeout=60))
        assert {second["conversation_id"], third["conversation_id"]} == {conversation_id}
        assert third["title"] == first["title"]
        assert first["usage"]["prompt_tokens"] < second["usage"]["prompt_tokens"] < third["usage"]["prompt_tokens"]
        assert third["usage"]["completion_tokens"] == 5
        assert (third["message"]["finish_reason"], third["turns_cut"]) == ("length", 0)

        said = read(account, conversation_id)
        assert [one["position"] for one in said] == [1, 2, 3, 4, 5, 6]
        assert [one["role"] for one in said] == ["user", "assistant"] * 3
        assert [one["content"] for one in said[::2]] == list(QUESTIONS)
        assert [one["direction"] for one in said[::2]] == ["rtl", "ltr", "rtl"]
        assert [one["id"] for one in said[1::2]] == [one["message"]["id"] for one in (first, second, third)]
        assert said[5] == third["message"]
        assert {one["model_version_id"] is None for one in said[1::2]} == {False}
        assert read(account, conversation_id)[0]["usage"] is None

    def test_the_model_is_asked_with_all_that_was_said(self, account: Account) -> None:
        """R-CHAT-2: the answer is that of the model to the whole conversation."""
        first = ok(say(account, "سلام", system="کوتاه بگو."))
        second = ok(say(account, "باز هم", conversation_id=first["conversation_id"], model="noise"))
        messages = [
            {"role": "system", "content": "کوتاه بگو."},
            {"role": "user", "content": "سلام"},
            {"role": "assistant", "content": first["message"]["content"]},
            {"role": "user", "content": "باز هم"},
        ]
        body = {"model": "noise", "messages": messages, "temperature": 0, "max_tokens": 12}
        asked = account.client.post("/v1/chat/completions", json=body, timeout=60).json()
        assert asked["choices"][0]["message"]["content"] == second["message"]["content"]
        assert asked["usage"] == second["usage"]
        assert read(account, first["conversation_id"])[0]["role"] == "system"

    def test_a_streamed_answer_is_the_plain_one_in_pieces(self, account: Account) -> None:
        """R-CHAT-2: start, deltas of whole characters, done; the same is kept."""
        plain = ok(say(account, "پرنده", max_tokens=60))
        body = {"message": "پرنده", "stream": True, "temperature": 0, "max_tokens": 60}
        with account.client.stream("POST", "/api/chat", json=body, timeout=60) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")
            told = list(events(answer.iter_lines()))
        assert [name for name, _ in told] == ["start", *["delta"] * (len(told) - 2), "done"]
        start, done = told[0][1], told[-1][1]
        assert start == {"conversation_id": done["conversation_id"], "model": done["model"]}
        text = "".join(data["content"] for name, data in told if name == "delta")
        assert text == done["message"]["content"] == plain["message"]["content"]
        assert (done["usage"], done["message"]["finish_reason"]) == (plain["usage"], "length")
        assert done.keys() == plain.keys()
        assert read(account, done["conversation_id"])[-1] == done["message"]

    def test_a_conversation_beyond_the_models_window_goes_on(self, account: Account) -> None:
        """R-CHAT-2: the oldest turns are left out of what the model is asked, and told; the history has them all."""
        conversation_id = ok(say(account, "z" * 900))["conversation_id"]
        answers = [ok(say(account, letter * 900, conversation_id=conversation_id)) for letter in "yxw"]
        assert [one["turns_cut"] for one in answers] == [0, 1, 2]
        assert all(one["usage"]["prompt_tokens"] < 2048 for one in answers)
        assert len(read(account, conversation_id)) == 8
        body = {"message": "v" * 900, "conversation_id": conversation_id, "stream": True, "max_tokens": 2}
        with account.client.stream("POST", "/api/chat", json=body, timeout=60) as answer:
            told = list(events(answer.iter_lines()))
        assert told[-1][1]["turns_cut"] == 3

    def test_a_conversation_of_any_length_is_answered(self, world: World, account: Account) -> None:
        """R-CHAT-2: what no window holds is not even sent; what was left out is told; the system text stays."""
        body = {"title": "long", "system": "Be brief."}
        conversation_id = ok(account.client.post("/api/chat/conversations", json=body), 201)["id"]
        with world.engine.sessions.begin() as session:
            session.execute(_EIGHTY_LONG_TURNS, {"id": conversation_id})
        answer = ok(say(account, "سلام", conversation_id=conversation_id))
        assert (answer["turns_cut"], answer["message"]["position"]) == (80, 163)
        alone = ok(say(account, "سلام", system="Be brief."))
        assert answer["message"]["content"] == alone["message"]["content"]

    def test_half_an_emoji_is_no_failure(self, account: Account) -> None:
        """R-CHAT-2: a client that cuts a text in the middle of a surrogate pair is answered all the same."""
        body = {"message": "پرنده \ud83d", "max_tokens": 2}
        headers = {"content-type": "application/json"}
        answer = ok(account.client.post("/api/chat", content=json.dumps(body), headers=headers, timeout=60))
        assert read(account, answer["conversation_id"])[0]["content"] == "پرنده \ufffd"

    def test_two_requests_at_once_lose_and_interleave_nothing(self, account: Account) -> None:
        """R-CHAT-2: both turns stand, each question with its answer."""
        conversation_id = ok(say(account, "آغاز"))["conversation_id"]
        with ThreadPoolExecutor(2) as threads:
            given = list(threads.map(lambda text: ok(say(account, text, conversation_id=conversation_id)), "ab"))
        said = read(account, conversation_id)
        assert [one["position"] for one in said] == [1, 2, 3, 4, 5, 6]
        pairs = {(said[at]["content"], said[at + 1]["id"]) for at in (2, 4)}
        assert pairs == {("a", given[0]["message"]["id"]), ("b", given[1]["message"]["id"])}


class TestHistory:
    def test_pages_go_back_in_time(self, account: Account) -> None:
        """R-CHAT-2, R-API-3: each message once; without an id it is the conversation with the newest activity."""
        conversation_id = ok(say(account, "یک"))["conversation_id"]
        ok(say(account, "دو", conversation_id=conversation_id))
        whole = read(account, conversation_id)
        pages, cursor = [], None
        while cursor is not None or not pages:
            params = {"limit": 3} | ({"cursor": cursor} if cursor else {})
            answer = account.client.get("/api/chat/history", params=params).json()
            assert answer["conversation_id"] == conversation_id
            pages.append(answer["data"])
            cursor = answer["next_cursor"]
        assert [[one["position"] for one in page] for page in pages] == [[2, 3, 4], [1]]
        assert pages[1] + pages[0] == whole

    def test_a_cursor_of_another_conversation_is_refused(self, account: Account) -> None:
        """R-API-3."""
        mine, other = (ok(say(account, text)) for text in ("این", "آن"))
        params = {"conversation_id": other["conversation_id"], "limit": 1}
        cursor = account.client.get("/api/chat/history", params=params).json()["next_cursor"]
        params = {"conversation_id": mine["conversation_id"], "cursor": cursor}
        refused(account.client.get("/api/chat/history", params=params), 400, "invalid_cursor")

    def test_without_a_conversation_it_is_empty(self, world: World, sign_up: Callable[[], Account]) -> None:
        """R-CHAT-2."""
        answer = sign_up().client.get("/api/chat/history")
        assert answer.json() == {"ok": True, "data": [], "next_cursor": None, "conversation_id": None}


class TestConversations:
    def test_made_renamed_and_deleted(self, world: World, account: Account) -> None:
        """R-CHAT-2: the first message gives a title where there is none; what was said goes with the conversation."""
        made = ok(account.client.post("/api/chat/conversations", json={"system": "Be brief."}), 201)
        path = f"/api/chat/conversations/{made['id']}"
        assert made["title"] == ""
        answer = ok(say(account, "  نام  من\n چیست؟ ", conversation_id=made["id"]))
        assert (answer["title"], answer["message"]["position"]) == ("نام من چیست؟", 3)
        assert ok(account.client.patch(path, json={"title": " نامِ  دیگر "}))["title"] == "نامِ دیگر"
        assert ok(say(account, "و تو؟", conversation_id=made["id"]))["title"] == "نامِ دیگر"
        assert ok(account.client.get(path))["title"] == "نامِ دیگر"
        assert ok(account.client.delete(path)) == {"id": made["id"], "deleted": True}
        assert "GET /api/chat/conversations lists" in refused(account.client.get(path), 404, "conversation_not_found")
        refused(say(account, "هنوز؟", conversation_id=made["id"]), 404, "conversation_not_found")
        assert world.num_messages(made["id"]) == 0

    def test_the_list_begins_with_the_newest_activity(self, world: World, sign_up: Callable[[], Account]) -> None:
        """R-CHAT-2, R-API-3: a conversation that becomes active between two pages comes no second time."""
        account = sign_up()
        world.add_model(account.project_id)
        made = [ok(account.client.post("/api/chat/conversations", json={"title": n}), 201)["id"] for n in "abcd"]
        ok(say(account, "سلام", conversation_id=made[0]))
        first = account.client.get("/api/chat/conversations", params={"limit": 2}).json()
        assert [one["id"] for one in first["data"]] == [made[0], made[3]]
        ok(say(account, "سلام", conversation_id=made[3]))
        params = {"limit": 2, "cursor": first["next_cursor"]}
        second = account.client.get("/api/chat/conversations", params=params).json()
        assert [one["id"] for one in second["data"]] == [made[2], made[1]]
        assert second["next_cursor"] is None
        newest_first = ok(account.client.get("/api/chat/conversations"))
        assert [one["id"] for one in newest_first] == [made[3], made[0], made[2], made[1]]
        for cursor in ("x", "bm90", first["next_cursor"][:-4]):
            bad = account.client.get("/api/chat/conversations", params={"cursor": cursor})
            refused(bad, 400, "invalid_cursor")

    def test_a_model_that_was_named_goes_on(self, world: World, account: Account) -> None:
        """R-CHAT-2: the conversation's model is the default, the one that was named last."""
        world.add_model(account.project_id, "دیگر می‌گوید")
        first = ok(say(account, "سلام", model="noise"))
        other = ok(say(account, "سلام", conversation_id=first["conversation_id"], model="دیگر می‌گوید"))
        again = ok(say(account, "سلام", conversation_id=first["conversation_id"]))
        assert (other["model"], again["model"]) == ("دیگر می‌گوید", "دیگر می‌گوید")
        assert again["message"]["model_version_id"] == other["message"]["model_version_id"]
        assert again["message"]["model_version_id"] != first["message"]["model_version_id"]


class TestExport:
    def test_a_conversation_comes_back_as_a_dataset(self, account: Account) -> None:
        """R-CHAT-2: the JSONL row is taken by POST /api/datasets/upload as it is; the file has the title's name."""
        conversation_id = ok(say(account, "گفت‌وگو: پرنده/ماهی", stop=["never"]))["conversation_id"]
        ok(say(account, "و باز", conversation_id=conversation_id))
        given = export(account, conversation_id, "jsonl")
        name = given.headers["content-disposition"].removeprefix("attachment; filename*=UTF-8''")
        assert unquote(name) == "گفت‌وگو پرنده ماهی.jsonl"
        said = [{"role": one["role"], "content": one["content"]} for one in read(account, conversation_id)]
        assert json.loads(given.text) == {"messages": said}
        files = {"dataset": (unquote(name), given.content)}
        uploaded = ok(account.client.post("/api/datasets/upload", files=files))
        assert (uploaded["rows"], uploaded["row_schema"]) == (1, "messages")

    def test_json_is_the_whole_conversation(self, account: Account) -> None:
        """R-CHAT-2."""
        conversation_id = ok(say(account, "همه"))["conversation_id"]
        whole = export(account, conversation_id, "json").json()
        assert whole["messages"] == read(account, conversation_id)
        assert whole["conversation"] == ok(account.client.get(f"/api/chat/conversations/{conversation_id}"))

    def test_markdown_keeps_the_direction(self, account: Account) -> None:
        """R-CHAT-2."""
        conversation_id = ok(say(account, "راست به چپ"))["conversation_id"]
        text = export(account, conversation_id, "markdown").text
        assert text.startswith('# راست به چپ\n\n<div dir="rtl">\n\n**User**\n\nراست به چپ\n\n</div>\n\n')

    def test_an_empty_conversation_has_no_row(self, account: Account) -> None:
        """R-CHAT-2: an upload would refuse a row without an answer."""
        made = ok(account.client.post("/api/chat/conversations", json={"title": "x"}), 201)
        assert export(account, made["id"], "jsonl").content == b""
