"""Whether the gateway lives and can work."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from simorgh_shared import exposition, health
from simorgh_shared.probing import Probe

router = APIRouter(tags=["health"])
_WITHIN_S = 4.0


@router.get("/livez")
@router.get("/health")
async def livez() -> dict[str, Any]:
    """The process answers."""
    return {"ok": True, "data": {"status": health.OK}}


@router.get("/readyz")
@router.get("/api/health")
async def readyz(request: Request) -> Response:
    """Each part's state. A dead broker only degrades: work then waits for the workers' polls."""
    probes: dict[str, Probe] = request.app.state.probes
    results = await asyncio.gather(*(probe.ask(_WITHIN_S) for probe in probes.values()))
    told = health.summary(dict(zip(probes, results, strict=True)))
    return JSONResponse(told, 200 if told["ok"] else 503)


@router.get("/metrics", include_in_schema=False)
async def metrics() -> Response:
    """Prometheus metrics. In no thread: it would wait for the interpreter's lock longer than it works."""
    return Response(exposition.render(), media_type=exposition.CONTENT_TYPE)
