"""Whether the gateway lives and can work."""

import asyncio
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from simorgh_shared.db.migrate import head_revision
from simorgh_shared.domain.errors import UnavailableError

router = APIRouter(tags=["health"])
_PROBE_S = 4.0


@router.get("/livez")
@router.get("/health")
async def livez() -> dict[str, Any]:
    """The process answers."""
    return {"ok": True, "data": {"status": "ok"}}


@router.get("/readyz")
@router.get("/api/health")
async def readyz(request: Request) -> Response:
    """Each part's state. A dead broker only degrades: work then waits for the workers' polls."""
    state = request.app.state
    probes = {
        "database": _database,
        "migrations": _migrations,
        "storage": _storage,
        "broker": _broker,
    }
    results = await asyncio.gather(*(_probed(probe, state) for probe in probes.values()))
    parts = dict(zip(probes, results, strict=True))
    needed_down = [name for name, told in parts.items() if told != "ok" and name != "broker"]
    status = "unavailable" if needed_down else "ok" if parts["broker"] == "ok" else "degraded"
    body = {"ok": not needed_down, "data": {"status": status, "parts": parts}}
    return JSONResponse(body, 503 if needed_down else 200)


@router.get("/metrics", include_in_schema=False)
def metrics() -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _probed(probe: Any, state: Any) -> str:
    try:
        return str(await asyncio.wait_for(asyncio.to_thread(probe, state), _PROBE_S))
    except TimeoutError:
        return "no answer in time"


def _database(state: Any) -> str:
    try:
        with state.engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except SQLAlchemyError:
        return "does not answer"
    return "ok"


def _migrations(state: Any) -> str:
    try:
        with state.engine.connect() as connection:
            at = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    except SQLAlchemyError:
        return "unknown"
    return "ok" if at == head_revision() else f"at {at}, this release needs {head_revision()}"


def _storage(state: Any) -> str:
    try:
        state.blobs.check()
    except UnavailableError:
        return "does not answer"
    return "ok"


def _broker(state: Any) -> str:
    redis: Redis = state.redis
    try:
        redis.ping()
    except RedisError:
        return "does not answer"
    return "ok"
