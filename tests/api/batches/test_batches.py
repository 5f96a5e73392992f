"""OpenAI's own client drives batches against a real worker and a real, tiny model (R-CHAT-6)."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import sqlalchemy as sa
from openai.types import Batch
from schemathesis import GenerationMode

from simorgh_shared.domain.jobs import JobType, Queue
from tests.api.chat.world import World, running_world
from tests.support.any_request import KEEPING, operations, send_any
from tests.support.gateway import Account, Gateway
from tests.support.stack import Bucket, Database

URL = "/v1/chat/completions"
PLAIN = "/v1/completions"
VECTORS = "/v1/embeddings"


@pytest.fixture(scope="module")
def world(
    gateway: Gateway,
    database: Database,
    redis_url: str,
    bucket: Bucket,
    model_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """A gateway, an inference server, a dispatcher and a worker."""
    with running_world(gateway, database, redis_url, bucket, model_folder, tmp_path_factory.mktemp("world")) as made:
        made.start_inference()
        made.engine.more_environment["SIMORGH_BATCH_AT_ONCE"] = "2"
        made.engine.start_dispatcher()
        made.engine.start_worker("io")
        yield made


@pytest.fixture(scope="module")
def account(world: World, sign_up: Callable[[], Account]) -> Account:
    made = sign_up()
    world.add_model(made.project_id)
    return made


@pytest.fixture(scope="module")
def client(gateway: Gateway, account: Account) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=account.access_token, max_retries=0) as made:
        yield made


def line(number: int, **changes: Any) -> dict[str, Any]:
    """A request."""
    messages = [{"role": "user", "content": f"سلام {number}"}]
    body = {"model": "noise", "messages": messages, "temperature": 0, "max_tokens": 4}
    return {"custom_id": f"id-{number}", "method": "POST", "url": URL, "body": body} | changes


def start(client: openai.OpenAI, *lines: object, **more: Any) -> Batch:
    """Send lines and begin a batch of them."""
    text = "".join((one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)) + "\n" for one in lines)
    file = client.files.create(file=("requests.jsonl", text.encode()), purpose="batch")
    asked = {"endpoint": URL, "completion_window": "24h"} | more
    return client.batches.create(input_file_id=file.id, **asked)


def ended(client: openai.OpenAI, batch_id: str, within_s: float = 60) -> Batch:
    """The batch once it has ended."""
    deadline = time.monotonic() + within_s
    while True:
        batch = client.batches.retrieve(batch_id)
        if batch.status in ("completed", "failed", "expired", "cancelled"):
            return batch
        assert time.monotonic() < deadline, batch
        time.sleep(0.1)


def rows(client: openai.OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    """The lines of a file."""
    assert file_id is not None
    return [json.loads(one) for one in client.files.content(file_id).text.splitlines()]


def num_answers(world: World, batch_id: str) -> int:
    with world.engine.sessions() as session:
        query = sa.text("SELECT count(*) FROM batch_answers WHERE job_id = :id")
        return session.scalar(query, {"id": batch_id}) or 0


class TestBatch:
    def test_each_line_has_the_answer_that_it_has_by_itself(self, client: openai.OpenAI, world: World) -> None:
        """R-CHAT-6."""
        sent = [line(1), line(2), line(3, body=line(3)["body"] | {"temperature": 9}), line(4)]
        begun = start(client, *sent[:2], "", *sent[2:], metadata={"for": "آزمایش"})
        assert (begun.status, begun.object, begun.metadata) == ("validating", "batch", {"for": "آزمایش"})
        batch = ended(client, begun.id)
        assert batch.status == "completed", batch
        with pytest.raises(openai.ConflictError, match="nothing is left to cancel"):
            client.batches.cancel(batch.id)
        counts = batch.request_counts
        assert counts is not None
        assert (counts.total, counts.completed, counts.failed) == (4, 3, 1)
        assert None not in (batch.in_progress_at, batch.finalizing_at, batch.completed_at)
        answers = rows(client, batch.output_file_id)
        assert [one["custom_id"] for one in answers] == ["id-1", "id-2", "id-4"]
        for one in answers:
            assert (one["error"], one["response"]["status_code"]) == (None, 200)
            body = next(line["body"] for line in sent if line["custom_id"] == one["custom_id"])
            alone = client.chat.completions.create(**body)
            assert one["response"]["body"]["choices"][0]["message"]["content"] == alone.choices[0].message.content
        (refused,) = rows(client, batch.error_file_id)
        assert (refused["custom_id"], refused["response"]["status_code"]) == ("id-3", 400)
        assert "temperature" in refused["response"]["body"]["error"]["message"]
        assert client.files.retrieve(batch.output_file_id or "").purpose == "batch_output"
        assert num_answers(world, batch.id) == 0, "what is in the files is kept once"

    def test_plain_texts_are_gone_on_with(self, client: openai.OpenAI) -> None:
        """R-CHAT-6, R-CHAT-1: a batch of /v1/completions."""
        body = {"model": "noise", "prompt": ["سلام", "hello"], "temperature": 0, "max_tokens": 4}
        begun = start(client, line(1, url=PLAIN, body=body), endpoint=PLAIN)
        batch = ended(client, begun.id)
        (answer,) = rows(client, batch.output_file_id)
        alone = client.completions.create(**body)  # type: ignore[call-overload]
        texts = [choice["text"] for choice in answer["response"]["body"]["choices"]]
        assert texts == [choice.text for choice in alone.choices]

    def test_vectors_are_made(self, client: openai.OpenAI) -> None:
        """R-CHAT-6, R-CHAT-1: a batch of /v1/embeddings."""
        body = {"model": "noise", "input": ["سلام", "hello"], "encoding_format": "float"}
        begun = start(client, line(1, url=VECTORS, body=body), endpoint=VECTORS)
        batch = ended(client, begun.id)
        (answer,) = rows(client, batch.output_file_id)
        alone = client.embeddings.create(**body)  # type: ignore[call-overload]
        made = [one["embedding"] for one in answer["response"]["body"]["data"]]
        assert made == [pytest.approx(one.embedding, abs=1e-6) for one in alone.data]

    def test_a_killed_worker_answers_no_line_twice(self, client: openai.OpenAI, world: World) -> None:
        """R-CHAT-6, R-JOB-1: kill -9 between lines; the answers that were there stay."""
        slow = [line(n, body=line(n)["body"] | {"max_tokens": 60}) for n in range(1, 25)]
        begun = start(client, *slow)
        world.engine.wait(lambda: num_answers(world, begun.id) >= 4, "some lines are answered")
        world.engine.kill_group(world.engine.processes[-1])
        with world.engine.sessions() as session:
            query = sa.text("SELECT line, answer FROM batch_answers WHERE job_id = :id")
            before = {row.line: json.loads(row.answer) for row in session.execute(query, {"id": begun.id})}
        assert 4 <= len(before) < 24
        world.engine.start_worker("io")
        batch = ended(client, begun.id)
        assert batch.status == "completed", batch
        answers = rows(client, batch.output_file_id)
        assert [one["custom_id"] for one in answers] == [f"id-{n}" for n in range(1, 25)]
        for number, answer in before.items():
            assert answers[number - 1] == answer, "it was asked again"
        job = world.engine.job(begun.id)
        assert (job.attempt, job.progress["completed"]) == (2, 24)

    def test_a_cancelled_one_leaves_nothing(self, client: openai.OpenAI, world: World) -> None:
        """R-CHAT-6."""
        begun = start(client, *(line(n, body=line(n)["body"] | {"max_tokens": 400}) for n in range(1, 20)))
        world.engine.wait(lambda: num_answers(world, begun.id) >= 1, "a line is answered")
        with pytest.raises(openai.ConflictError, match="still reads"):
            client.files.delete(begun.input_file_id)
        assert client.batches.cancel(begun.id).status in ("cancelling", "cancelled")
        batch = ended(client, begun.id)
        assert batch.status == "cancelled"
        assert batch.cancelled_at is not None
        assert client.batches.cancel(begun.id).status == "cancelled"
        assert (batch.output_file_id, num_answers(world, begun.id)) == (None, 0)
        assert client.files.delete(begun.input_file_id).deleted
        world.wait_active(0)

    def test_one_whose_time_is_over_keeps_what_was_answered(
        self, client: openai.OpenAI, world: World, account: Account
    ) -> None:
        """R-CHAT-6: the others are told as expired."""
        file = client.files.create(file=("a.jsonl", json.dumps(line(1)).encode()), purpose="batch")
        spec = {
            "input_file_id": file.id,
            "endpoint": URL,
            "completion_window": "24h",
            "metadata": None,
            "expires_at": int(time.time()) - 1,
        }
        world.engine.project_id, own = account.project_id, world.engine.project_id
        job_id = world.engine.submit(JobType.BATCH, Queue.IO, spec)
        world.engine.project_id = own
        batch = ended(client, job_id)
        assert (batch.status, batch.output_file_id) == ("expired", None)
        (late,) = rows(client, batch.error_file_id)
        assert (late["custom_id"], late["response"], late["error"]["code"]) == ("id-1", None, "batch_expired")


class TestRefusals:
    def test_bad_lines_are_told_by_their_numbers_and_nothing_is_asked(self, client: openai.OpenAI) -> None:
        """R-CHAT-6."""
        begun = start(
            client,
            line(1),
            "{no json",
            "",
            line(2, custom_id="id-1"),
            line(3, method="GET"),
            line(4, url="/v1/embeddings"),
            line(5, body={"model": "unknown"}),
            line(6, body=line(6)["body"] | {"stream": True}),
            line(7, tone="x"),
            "[" * 100_000,
        )
        batch = ended(client, begun.id)
        assert batch.status == "failed"
        assert batch.errors is not None
        told = [(one.line, one.code) for one in batch.errors.data or ()]
        assert told == [
            (2, "invalid_json_line"),
            (4, "duplicate_custom_id"),
            (5, "invalid_method"),
            (6, "mismatched_url"),
            (7, "model_not_found"),
            (8, "stream_unsupported"),
            (9, "unknown_parameter"),
            (10, "invalid_json_line"),
        ]
        assert batch.output_file_id is None

    def test_a_file_for_something_else(self, client: openai.OpenAI) -> None:
        """R-CHAT-6."""
        file = client.files.create(file=b"{}", purpose="user_data")
        with pytest.raises(openai.BadRequestError, match="Send it again with purpose batch"):
            client.batches.create(input_file_id=file.id, endpoint=URL, completion_window="24h")
        with pytest.raises(openai.NotFoundError):
            client.batches.create(input_file_id="file_none", endpoint=URL, completion_window="24h")

    @pytest.mark.parametrize(
        "changes",
        [{"endpoint": "/v1/responses"}, {"completion_window": "1h"}, {"output_expires_after": {}}, {"metadata": 3}],
    )
    def test_what_is_not_done_here(self, client: openai.OpenAI, account: Account, changes: dict[str, Any]) -> None:
        """R-CHAT-6."""
        body = {"input_file_id": "file_x", "endpoint": URL, "completion_window": "24h"} | changes
        answer = account.client.post("/v1/batches", json=body)
        assert answer.status_code == 400, answer.text
        assert next(iter(changes)) in answer.json()["error"]["message"]

    def test_nul_in_what_is_kept_beside_it(self, client: openai.OpenAI) -> None:
        """R-API-1: PostgreSQL takes it in no JSON."""
        with pytest.raises(openai.BadRequestError, match="a text holds a NUL character"):
            start(client, line(1), metadata={"for": "a\0b"})

    def test_pages_and_strangers(self, client: openai.OpenAI, gateway: Gateway, sign_up: Callable[[], Account]) -> None:
        """R-API-3, R-AUTH-4."""
        ids = [one.id for one in client.batches.list(limit=100).data]
        assert len(ids) >= 2
        assert [one.id for one in client.batches.list(limit=1)] == ids
        url, key = f"{gateway.url}/v1", sign_up().access_token
        with openai.OpenAI(base_url=url, api_key=key, max_retries=0) as stranger:
            assert list(stranger.batches.list()) == []
            for ask in (stranger.batches.retrieve, stranger.batches.cancel):
                with pytest.raises(openai.NotFoundError):
                    ask(ids[0])


class TestAnyRequest:
    @pytest.mark.parametrize(("operation", "mode"), operations(*KEEPING))
    def test_none_is_a_fault_of_the_server(
        self, client: openai.OpenAI, account: Account, operation: str, mode: GenerationMode
    ) -> None:
        """R-API-3: good requests and bad ones, of schemathesis's making, many for files and batches that there are."""

        def new_file() -> str:
            return client.files.create(file=("requests.jsonl", json.dumps(line(1)).encode()), purpose="batch").id

        def new_batch() -> str:
            return start(client, line(1)).id

        after = new_file() if "/files" in operation else new_batch()
        real = {"file_id": new_file, "input_file_id": new_file, "batch_id": new_batch, "after": after}
        statuses = send_any(account, operation, mode, real)
        assert mode is GenerationMode.NEGATIVE or 200 in statuses
