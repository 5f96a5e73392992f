"""Whether the server lives and can work, and what Prometheus is told. Open to who has no key."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simorgh_inference import metrics
from simorgh_inference.host import EngineHost
from simorgh_shared import exposition, health
from simorgh_shared.probing import Probe

_WITHIN_S = 4.0


async def livez(request: Request) -> JSONResponse:
    """The process answers."""
    del request
    return JSONResponse({"ok": True, "data": {"status": health.OK}})


async def readyz(request: Request) -> JSONResponse:
    """Each part's state; 503 when one does not answer."""
    probes: dict[str, Probe] = request.app.state.probes
    told = await asyncio.gather(*(probe.ask(_WITHIN_S) for probe in probes.values()))
    summary = health.summary(dict(zip(probes, told, strict=True)))
    return JSONResponse(summary, 200 if summary["ok"] else 503)


async def prometheus(request: Request) -> Response:
    """Prometheus metrics."""
    host: EngineHost = request.app.state.host
    children = set(host.loaded().values())  # several models may share one
    metrics.ENGINES_LOADED.set(len(children))
    metrics.REQUESTS_HELD.set(sum(child.num_active for child in children))
    metrics.CACHE_USE.set(max((child.cache_use or 0.0 for child in children), default=0.0))
    text = await asyncio.to_thread(exposition.render)  # looks at processes: a token must not wait for that
    return Response(text, media_type=exposition.CONTENT_TYPE)


ROUTES = [
    Route("/livez", livez),
    Route("/health", livez),
    Route("/readyz", readyz),
    Route("/metrics", prometheus),
]
