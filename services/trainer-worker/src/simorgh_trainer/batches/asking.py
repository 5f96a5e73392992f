"""Asks the inference server the lines of a batch: a few at a time, and behind the chats of people.

The server refuses a batch's request while people wait for the same model (`x-simorgh-priority`); it is asked again.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from simorgh_shared.clients.inference import InferenceClient
from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.queue.batches import LineAnswer
from simorgh_trainer.batches.lines import BatchLine, answer_text

log = structlog.get_logger()
_TICK_S = 0.1
_OK, _BUSY, _FAULT = 200, 429, 500
_TRIES = 3
_LONGEST_WAIT_S = 10.0
_BEHIND_CHATS = {"x-simorgh-priority": "batch"}


@dataclass(frozen=True)
class Server:
    """Where batches are answered."""

    url: str
    key: str | None
    at_once: int


@dataclass(frozen=True)
class Questions:
    """What is to be asked."""

    job_id: str
    path: str
    lines: Iterator[BatchLine]
    models: Mapping[str, str]
    """The version that each name means."""
    answered: Collection[int]


async def ask(
    server: Server,
    questions: Questions,
    keep: Callable[[LineAnswer], None],
    is_over: Callable[[], bool],
) -> None:
    """Ask all that have no answer; ends early once it is over. What was begun then is left, and asked again later.

    keep: makes an answer durable; called in a thread.
    """
    client = InferenceClient(server.url, server.key)
    try:
        askers = [asyncio.create_task(_ask_on(client, questions, keep)) for _ in range(server.at_once)]
        try:
            while pending := {asker for asker in askers if not asker.done()}:
                if is_over():
                    break
                await asyncio.wait(pending, timeout=_TICK_S, return_when=asyncio.FIRST_EXCEPTION)
                for asker in askers:
                    if asker.done():
                        asker.result()
        finally:
            for asker in askers:
                asker.cancel()
            await asyncio.gather(*askers, return_exceptions=True)
    finally:
        await client.close()


async def _ask_on(client: InferenceClient, questions: Questions, keep: Callable[[LineAnswer], None]) -> None:
    for line in questions.lines:  # shared by all: each takes what comes next
        if line.number in questions.answered:
            continue
        response = await _response(client, questions, line)
        text = answer_text(questions.job_id, line, response)
        kept = asyncio.to_thread(keep, LineAnswer(line.number, response["status_code"] != _OK, text))
        await asyncio.shield(kept)  # an answer that is there is not thrown away


async def _response(client: InferenceClient, questions: Questions, line: BatchLine) -> dict[str, Any]:
    """The server's answer, asked for until it has one. What is its fault is tried a few times."""
    num_faults = 0
    body = {name: value for name, value in line.body.items() if name != "stream"}  # embeddings know no such member
    body["model"] = questions.models[line.model]
    while True:
        request_id = new_id("req")
        try:
            upstream = await client.open(
                questions.path,
                body,
                model_name=line.model,
                request_id=request_id,
                headers=_BEHIND_CHATS,
            )
            status, wait = upstream.status, upstream.headers.get("retry-after", "")
            answer = await upstream.read()
        except UnavailableError as error:
            log.warning("batch_waits", job_id=questions.job_id, line=line.number, reason=error.code)
            await _pause(error.retry_after_s)
            continue
        if status == _BUSY:
            await _pause(int(wait) if wait.isdecimal() else None)
            continue
        num_faults += status >= _FAULT
        if status < _FAULT or num_faults >= _TRIES:
            return {"status_code": status, "request_id": request_id, "body": _json(answer)}
        await _pause(int(wait) if wait.isdecimal() else None)


def _pause(retry_after_s: int | None) -> Awaitable[None]:
    return asyncio.sleep(min(float(retry_after_s or 1), _LONGEST_WAIT_S))


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body[:1_000].decode(errors="replace")
