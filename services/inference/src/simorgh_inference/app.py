"""Assembles the HTTP front of the inference server."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Sequence

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool

from simorgh_inference.errors import add_error_handlers
from simorgh_inference.host import EngineHost
from simorgh_inference.launching import ENGINE_COMMAND
from simorgh_inference.middleware import KeyCheck, RequestContext
from simorgh_inference.priority import Priorities
from simorgh_inference.registry import ModelSource
from simorgh_inference.routes import chat, completions, embeddings, health, models
from simorgh_inference.settings import ServerSettings
from simorgh_shared import tracing
from simorgh_shared.domain.errors import AppError
from simorgh_shared.logging import cause
from simorgh_shared.probing import Probe
from simorgh_shared.traced_requests import TracedRequests

log = structlog.get_logger()


def create_app(
    settings: ServerSettings, source: ModelSource, engine_command: Sequence[str] = ENGINE_COMMAND
) -> Starlette:
    """A front on this source of models."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.host = EngineHost(source, settings, engine_command)
        app.state.priorities = Priorities()
        app.state.probes = {part: Probe(check) for part, check in source.parts().items()}
        trimming = asyncio.create_task(_trim_again_and_again(app.state.host, settings))
        gc.freeze()  # what stays for good is not looked through again
        yield
        trimming.cancel()
        await app.state.host.close()
        await run_in_threadpool(tracing.flush)

    parts = (chat, completions, embeddings, models, health)
    app = Starlette(routes=[route for part in parts for route in part.ROUTES], lifespan=lifespan)
    add_error_handlers(app)
    if settings.internal_key is not None:
        app.add_middleware(KeyCheck, key=settings.internal_key.get_secret_value())
    app.add_middleware(RequestContext)
    if tracing.is_on():
        app.add_middleware(TracedRequests)
    return app


async def _trim_again_and_again(host: EngineHost, settings: ServerSettings) -> None:
    """Until it is cancelled. A registry that does not answer is asked again next time."""
    while True:
        try:
            gone = await run_in_threadpool(host.source.trim, host.in_use(), settings.cache_unused_s)
            if gone:
                log.info("cache_trimmed", num_versions=len(gone), version_ids=gone[:20])
        except (AppError, OSError) as error:
            log.warning("cache_not_trimmed", reason=cause(error))
        await asyncio.sleep(settings.cache_trim_every_s)
