"""Whether the gateway lives and can work."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response

from simorgh_shared import health

router = APIRouter(tags=["health"])
_PROBE_S = 4.0


@router.get("/livez")
@router.get("/health")
async def livez() -> dict[str, Any]:
    """The process answers."""
    return {"ok": True, "data": {"status": health.OK}}


@router.get("/readyz")
@router.get("/api/health")
async def readyz(request: Request) -> Response:
    """Each part's state. A dead broker only degrades: work then waits for the workers' polls."""
    state = request.app.state
    checks = health.service_checks(state.engine, state.blobs, state.redis)
    results = await asyncio.gather(*(_probed(check) for check in checks.values()))
    told = health.summary(dict(zip(checks, results, strict=True)))
    return JSONResponse(told, 200 if told["ok"] else 503)


@router.get("/metrics", include_in_schema=False)
def metrics() -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _probed(check: health.Check) -> str:
    try:
        return await asyncio.wait_for(asyncio.to_thread(check), _PROBE_S)
    except TimeoutError:
        return "no answer in time"
