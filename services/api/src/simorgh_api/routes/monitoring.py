"""Machines, processes and queues: now, before, and live (R-OPS-3). Whoever is signed in and may read sees them."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import StreamingResponse

from simorgh_api.deps import DbSession, Reader, Sessions, StreamWatcher
from simorgh_api.snapshots import follow
from simorgh_api.streams import SSE_HEADERS
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import monitoring as usecase
from simorgh_shared.schemas.envelope import Answer
from simorgh_shared.schemas.monitoring import HardwareView, HistoryView, MonitoringView, Scope, Window

router = native_router("/monitoring", "monitoring")


@router.get("/metrics", operation_id="get_monitoring_metrics")
def get_metrics(session: DbSession, principal: Reader) -> Answer[MonitoringView]:
    """What every machine and process of the platform does now, and what waits in the queues."""
    del principal
    return Answer(data=usecase.monitoring(session))


@router.get("/hardware", operation_id="get_monitoring_hardware")
def get_hardware(session: DbSession, principal: Reader) -> Answer[list[HardwareView]]:
    """The machines: processor, memory, disk and GPUs, with what they do now."""
    del principal
    return Answer(data=usecase.hardware(session))


@router.get("/history", operation_id="get_monitoring_history")
def get_history(
    session: DbSession,
    principal: Reader,
    scope: Scope,
    name: Annotated[str, Query(max_length=200, description="Of the node, the process or the queue.")],
    window: Window = Window.HOUR,
) -> Answer[HistoryView]:
    """What was measured before: an hour in short periods, a day or a week in periods of five minutes."""
    del principal
    return Answer(data=usecase.history(session, scope, name, window))


@router.get("/stream", operation_id="stream_monitoring", response_class=StreamingResponse)
async def stream_metrics(
    request: Request,
    sessions: Sessions,
    watcher: StreamWatcher,
    every_s: Annotated[float, Query(ge=1, le=60, description="How often.")] = 5.0,
) -> StreamingResponse:
    """What `/api/monitoring/metrics` says, again and again (SSE, event `metrics`). Each tells all: none is repeated."""

    def may_go_on() -> bool:
        with sessions() as session:
            return watcher.may_go_on(session)

    state = request.app.state
    lines = follow(state.snapshots, every_s, request.is_disconnected, may_go_on, lambda: state.broadcast.is_draining)
    return StreamingResponse(lines, media_type="text/event-stream", headers=SSE_HEADERS)
