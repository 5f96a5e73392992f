"""A server that is told to end answers what it cannot finish: fault 46."""

import asyncio
from typing import Any

from starlette.types import Receive, Scope, Send

from simorgh_inference.middleware import RequestContext


def test_what_has_no_answer_is_told_to_come_again() -> None:
    """R-DEPLOY-5: uvicorn cancels what is left after the grace, and would answer 500."""

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send
        await asyncio.Event().wait()

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def cut() -> None:
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}
        serving = asyncio.create_task(RequestContext(endless)(scope, receive, send))
        await asyncio.sleep(0)
        serving.cancel()
        await serving

    asyncio.run(cut())
    assert sent[0]["status"] == 503
    assert dict(sent[0]["headers"])[b"retry-after"] == b"5"
