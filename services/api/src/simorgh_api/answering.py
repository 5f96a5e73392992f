"""How a turn is answered, plain or streamed, and how question and answer are kept (R-CHAT-2)."""

import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import structlog
from fastapi import Request, Response
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool

from simorgh_api.asking import CLIENT_LEFT, ClientLeftError, ClosingStream, or_silence, while_connected
from simorgh_api.errors import Problem, native_shape, request_id, to_problem
from simorgh_api.streams import SSE_HEADERS
from simorgh_api.usecases import turns
from simorgh_api.usecases.principals import Principal
from simorgh_api.usecases.turns import Said, Turn
from simorgh_shared.clients.inference import InferenceClient, RefusedError, Reply
from simorgh_shared.domain.errors import AppError
from simorgh_shared.logging import cause
from simorgh_shared.schemas.chat import AnswerOptions, ChatBroken, ChatDelta, ChatStarted, ChatView
from simorgh_shared.schemas.envelope import Answer

log = structlog.get_logger()
_COMMENT_S = 15.0
_EVENTS: dict[str, Any] = {
    "description": "With `stream`, the data of the events `start`, `delta` … and `done`, or `error` at the end.",
    "oneOf": [
        ChatStarted.model_json_schema(),
        ChatDelta.model_json_schema(),
        {"$ref": "#/components/schemas/ChatView"},
        ChatBroken.model_json_schema(),
    ],
}
STREAMED: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": _EVENTS}}}}
"""What an endpoint that answers a turn declares besides its plain answer."""


@dataclass(frozen=True)
class Keeper:
    """Keeps what was said, for the one who asked."""

    sessions: sessionmaker[Session]
    who: Principal
    turn: Turn

    async def keep(self, reply: Reply, finish_reason: str | None) -> ChatView:
        """Store question and answer in one transaction, whoever leaves meanwhile."""
        said = Said(reply.text, finish_reason, reply.usage, reply.turns_cut)

        def store() -> ChatView:
            with self.sessions.begin() as session:
                return turns.keep(session, self.who, self.turn, said)

        with anyio.CancelScope(shield=True):
            view = await run_in_threadpool(store)
        return view  # noqa: RET504 - for the type checker a scope may swallow what is in it

    async def keep_cut_off(self, reply: Reply) -> None:
        """Store what was said until the client left."""
        try:
            await self.keep(reply, reply.finish_reason or "cancelled")
        except (AppError, SQLAlchemyError) as error:  # nobody is there to be told
            log.warning("turn_not_kept", conversation_id=self.turn.conversation_id, reason=cause(error))


async def answer_turn(
    request: Request,
    sessions: sessionmaker[Session],
    inference: InferenceClient,
    who: Principal,
    options: AnswerOptions,
    plan: Callable[[Session], Turn],
) -> Answer[ChatView] | Response:
    """Look up what the turn needs, ask the model, and keep what it said."""

    def looked_up() -> Turn:
        with sessions() as session:
            return plan(session)

    turn = await run_in_threadpool(looked_up)
    keeper = Keeper(sessions, who, turn)
    try:
        reply = await while_connected(request, _begin(inference, turn, options, request_id(request)))
        if options.stream:
            lines = _events(request, keeper, reply)
            return ClosingStream(lines, reply, media_type="text/event-stream", headers=SSE_HEADERS)
        await while_connected(request, _finish(reply))
    except ClientLeftError:
        return Response(status_code=CLIENT_LEFT)
    except RefusedError as refused:
        return native_shape(request, _problem(request, refused))
    return Answer(data=await keeper.keep(reply, reply.finish_reason))


async def _begin(inference: InferenceClient, turn: Turn, options: AnswerOptions, asked_as: str) -> Reply:
    # Streamed in any case: so a plain answer that breaks off says why.
    asked = {
        **options.sampling(),
        "model": turn.model_version_id,
        "messages": turn.messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    reply = Reply(await inference.open_chat(asked, model_name=turn.model, request_id=asked_as, fits_turns=True))
    try:
        await reply.begin()
    except BaseException:
        await reply.aclose()
        raise
    return reply


async def _finish(reply: Reply) -> None:
    async with contextlib.aclosing(reply):
        async for _ in reply.pieces():
            pass


async def _events(request: Request, keeper: Keeper, reply: Reply) -> AsyncGenerator[str, None]:
    is_settled = False  # what becomes of the turn is decided once, whatever happens while it is being kept
    try:
        yield _event("start", ChatStarted(conversation_id=keeper.turn.conversation_id, model=keeper.turn.model))
        async with contextlib.aclosing(or_silence(reply.pieces(), _COMMENT_S)) as pieces:
            async for piece in pieces:
                yield ": still here\n\n" if piece is None else _event("delta", ChatDelta(content=piece))
        is_settled = True
        yield _event("done", await keeper.keep(reply, reply.finish_reason))
    except Exception as error:  # the answer has begun: nothing above this can turn an error into words any more
        is_settled = True
        problem = _problem(request, error)
        yield _event("error", ChatBroken(code=problem.code, error=problem.message))
    finally:
        with anyio.CancelScope(shield=True):
            await reply.aclose()
            if not is_settled and reply.text:
                await keeper.keep_cut_off(reply)


def _event(name: str, data: BaseModel) -> str:
    return f"event: {name}\ndata: {data.model_dump_json()}\n\n"


def _problem(request: Request, error: Exception) -> Problem:
    if isinstance(error, RefusedError):
        return Problem(error.status, error.code, error.message, error.param, retry_after_s=error.retry_after_s)
    return to_problem(request, error)
