"""Routers by surface: the envelope, the error shape and the transaction belong to the router a route is on."""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any, get_args

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from simorgh_api import auditing
from simorgh_api.errors import Shape, native_shape, openai_shape, to_problem
from simorgh_api.usecases.audit import Act
from simorgh_api.usecases.tickets import RESUME_PARAMETER, TICKET_PARAMETER
from simorgh_shared.domain.errors import InvalidInputError, UnauthenticatedError
from simorgh_shared.schemas.envelope import OpenAIError, Problem


class UnitOfWork:
    """The one transaction of a request, and what is to be done after its commit."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._session: Session | None = None
        self._after: list[Callable[[], None]] = []

    @property
    def session(self) -> Session:
        """The request's session, opened when it is first asked for."""
        if self._session is None:
            self._session = self._sessions()
        return self._session

    @property
    def is_open(self) -> bool:
        """Whether anyone asked for the session."""
        return self._session is not None

    def after_commit(self, act: Callable[[], None]) -> None:
        """Do something once the transaction is kept. What it raises is logged by itself, or lost."""
        self._after.append(act)

    def commit(self) -> None:
        """Keep the transaction, then run what waits for it."""
        self.session.commit()
        acts, self._after = self._after, []
        for act in acts:
            act()

    def close(self) -> None:
        """Give the connection back; what was not committed is undone."""
        if self._session is not None:
            self._session.close()
            self._session = None


def _route_class(shape: Shape) -> type[APIRoute]:
    class SurfaceRoute(APIRoute):
        """Commits before the answer goes out, and writes errors in the surface's shape."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            inner = super().get_route_handler()
            body_model = _body_model(self)
            action = operation_id(self)
            # SDKs of OpenAI's add parameters of their own; what we do not know of our own would be ignored.
            known = _query_names(self.dependant) if shape is native_shape else None

            async def handle(request: Request) -> Response:
                sessions = request.app.state.sessions
                unit = request.state.unit = UnitOfWork(sessions)
                refused = False
                try:
                    if known is not None:
                        _require_known_query(request, known)
                    response = await inner(request)
                    if response.status_code < 400:
                        act = auditing.change(request, response, action)
                        if unit.is_open or act is not None:
                            await run_in_threadpool(_keep, unit, sessions, request, act)
                except asyncio.CancelledError:
                    raise
                except Exception as error:
                    refused = isinstance(error, UnauthenticatedError)
                    response = shape(request, to_problem(request, error, body_model))
                finally:
                    if unit.is_open:
                        await run_in_threadpool(unit.close)
                if refused:
                    await run_in_threadpool(auditing.record_failed_sign_in, sessions, request, action)
                return response

            return handle

    return SurfaceRoute


def _keep(unit: UnitOfWork, sessions: sessionmaker[Session], request: Request, act: Act | None) -> None:
    """Commit what was changed, with its line in the audit log; one that had transactions of its own gets it after."""
    if unit.is_open:
        if act is not None:
            auditing.record(unit.session, request, act)
        unit.commit()
    elif act is not None:
        auditing.record_after(sessions, request, act)


def _query_names(dependant: Dependant) -> frozenset[str]:
    """The query parameters of a route, those that its dependencies take too."""
    names = {parameter.alias for parameter in dependant.query_params}
    names.update(*(_query_names(one) for one in dependant.dependencies))
    # A stream that is opened by ticket says where it was in the query: EventSource sends no header the first time.
    return frozenset(names | {RESUME_PARAMETER} if TICKET_PARAMETER in names else names)


def _require_known_query(request: Request, known: Collection[str]) -> None:
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        takes = ", ".join(sorted(known)) or "none; parameters go into the body"
        raise InvalidInputError("unknown_query", path=request.url.path, name=", ".join(unknown)[:80], known=takes)


NativeRoute = _route_class(native_shape)
OpenAIRoute = _route_class(openai_shape)


def native_router(prefix: str, tag: str) -> APIRouter:
    """A router of the native surface; `prefix` lies below /api."""
    return APIRouter(prefix=f"/api{prefix}", tags=[tag], route_class=NativeRoute, responses=_errors(Problem))


def openai_router(prefix: str = "", tag: str = "openai") -> APIRouter:
    """A router of the OpenAI-compatible surface; `prefix` lies below /v1."""
    return APIRouter(prefix=f"/v1{prefix}", tags=[tag], route_class=OpenAIRoute, responses=_errors(OpenAIError))


def operation_id(route: APIRoute) -> str:
    """The route's stable name, in the contract and in the audit log."""
    if route.operation_id is not None:
        return route.operation_id
    tag = str(route.tags[0]) if route.tags else "api"
    suffix = {"/api/health": "_api", "/health": "_plain"}.get(route.path, "")  # one function, two paths
    return f"{tag}_{route.name}{suffix}"


def shape_for(path: str) -> Shape:
    """The error shape of the surface mounted there, for requests that no route took."""
    return openai_shape if path == "/v1" or path.startswith("/v1/") else native_shape


def _errors(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The error answers of every route, for the contract."""
    return {
        "4XX": {"model": model, "description": "What was sent cannot be done; the sentence says what to change."},
        "5XX": {"model": model, "description": "A part of the platform failed or does not answer now."},
    }


def _body_model(route: APIRoute) -> type[BaseModel] | None:
    field = route.body_field
    if field is None:
        return None
    annotation = field.field_info.annotation
    models = [
        one for one in (annotation, *get_args(annotation)) if isinstance(one, type) and issubclass(one, BaseModel)
    ]
    return models[0] if models else None
