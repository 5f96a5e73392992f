"""Assembles the gateway: parts, surfaces and middleware. Nothing here knows what a route does."""

import contextlib
import gc
import tempfile
from collections.abc import AsyncIterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from redis import Redis
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from simorgh_api.auth import Passwords, Tokens
from simorgh_api.buckets import Buckets
from simorgh_api.description import DescribedApp, add_documentation
from simorgh_api.errors import Problem, to_problem
from simorgh_api.limits import Limits
from simorgh_api.middleware import RequestContext
from simorgh_api.settings import ApiSettings, manifest_key, signing_secret
from simorgh_api.snapshots import Snapshots
from simorgh_api.streams import Broadcast
from simorgh_api.surfaces import operation_id, shape_for
from simorgh_api.uploads.checking import Checkers
from simorgh_api.usecases.quotas import Quotas, session_info
from simorgh_shared import health, tracing
from simorgh_shared.clients.inference import InferenceClient
from simorgh_shared.db.engine import make_engine, make_sessions
from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.domain.messages import sentence
from simorgh_shared.monitoring.sampler import Sampled, Sampler
from simorgh_shared.probing import Probe
from simorgh_shared.storage.blobs import BlobStore
from simorgh_shared.storage.incoming import IncomingStore
from simorgh_shared.storage.s3 import make_client
from simorgh_shared.traced_requests import TracedRequests

_TIMEOUTS = ("lock_timeout=2s", "statement_timeout=2s")
_RESTART_S = 2
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
ROUTES = (
    "routes.health",
    "routes.auth",
    "routes.keys",
    "routes.projects",
    "routes.usage",
    "routes.audit",
    "routes.settings",
    "routes.monitoring",
    "routes.jobs",
    "routes.train",
    "routes.training",
    "routes.uploads",  # before the datasets' own, whose ids take any word
    "routes.datasets",
    "routes.statistics",
    "routes.conversions",
    "routes.provenance",  # before the models' own, whose ids take any word
    "routes.models",
    "routes.aliases",
    "routes.optimizations",
    "routes.chat",
    "routes.conversations",
    "routes.stt",
    "routes.evaluations",
    "routes.tts",
    "openai.models",
    "openai.chat",
    "openai.completions",
    "openai.embeddings",
    "openai.audio",
    "openai.files",
    "openai.batches",
)
"""Modules with a `router`, in the order of the API's description."""


def create_app(settings: ApiSettings) -> FastAPI:
    """The gateway on these settings. Connections open when they are first needed.

    Raises: InvalidInputError without a good signing secret.
    """
    app = DescribedApp(
        title="Simorgh",
        version="0.1.0",
        summary="Trains, serves and voices language models that their users own.",
        generate_unique_id_function=operation_id,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        # FastAPI's own tells what exceptions say; ours is simorgh_shared.tracing.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    add_documentation(app)
    _make_parts(app, settings)
    for name in ROUTES:
        app.include_router(import_module(f"simorgh_api.{name}").router)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(RequestValidationError, _other)
    app.add_exception_handler(Exception, _other)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["x-request-id", "retry-after"],
    )
    app.add_middleware(RequestContext, cut_short=_cut_short)
    if tracing.is_on():
        app.add_middleware(TracedRequests)
    return app


def _make_parts(app: FastAPI, settings: ApiSettings) -> None:
    """What routes ask `deps` for."""
    state = app.state
    state.settings = settings
    former = [key.get_secret_value() for key in settings.verification_keys]
    state.tokens = Tokens(signing_secret(settings), former, settings.access_token_s)
    state.manifest_key = manifest_key(settings)
    state.passwords = Passwords()
    state.engine = make_engine(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_pool_size,
        options=_TIMEOUTS,
        name="simorgh-api",
    )
    state.sessions = make_sessions(state.engine)
    state.sessions.configure(info=session_info(_quotas(settings)))
    client = make_client(settings)
    state.blobs = BlobStore(client, settings.s3_bucket)
    state.incoming = IncomingStore(client, make_client(settings, settings.s3_public_url), settings.s3_bucket)
    state.redis = Redis.from_url(settings.redis_url.get_secret_value(), socket_timeout=2, socket_connect_timeout=2)
    state.buckets = Buckets(settings.redis_url.get_secret_value())
    state.limits = Limits(state.buckets, settings)
    state.broadcast = Broadcast(settings.redis_url.get_secret_value())
    checks = health.service_checks(state.engine, state.blobs, state.redis)
    state.probes = {part: Probe(check) for part, check in checks.items()}
    key = settings.internal_key.get_secret_value() if settings.internal_key is not None else None
    folder = settings.upload_spool_dir or Path(tempfile.gettempdir())
    state.snapshots = Snapshots(make_sessions(state.engine))
    state.sampler = Sampler(make_sessions(state.engine), settings, Sampled("api", folder))
    state.inference = InferenceClient(settings.inference_url, key)


def _quotas(settings: ApiSettings) -> Quotas:
    return Quotas(
        settings.quota_queued_jobs,
        settings.quota_stored_bytes,
        settings.quota_gpu_hours,
        timedelta(days=settings.quota_window_days),
    )


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.broadcast.start()
    app.state.checkers = Checkers()
    app.state.checkers.prepare()
    app.state.sampler.start()
    gc.freeze()  # what stays for good is not looked through again: that takes 0.2 s, in which nobody is answered
    yield
    await run_in_threadpool(app.state.sampler.stop)
    await run_in_threadpool(tracing.flush)
    await app.state.checkers.aclose()
    await app.state.broadcast.stop()
    await app.state.inference.close()
    app.state.engine.dispose()
    app.state.redis.close()
    app.state.buckets.close()
    app.state.blobs.client.close()


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404:
        problem = Problem(404, "not_found_route", sentence("not_found_route", {"path": path}))
    elif error.status_code == 405:
        allowed = _methods_at(request)
        params = {"method": request.method, "path": path, "allowed": ", ".join(allowed)}
        problem = Problem(405, "method_not_allowed", sentence("method_not_allowed", params), allowed=allowed)
    else:
        problem = Problem(error.status_code, "invalid_body", str(error.detail))
    return shape_for(path)(request, problem)


def _methods_at(request: Request) -> list[str]:
    """What can be done at the request's path, by any of the routes there."""

    def is_taken(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(dict(scope))[0] is Match.FULL for route in request.app.routes)

    return [method for method in _METHODS if is_taken(method)]


def _cut_short(request: Request) -> Response:
    """The answer to what had none when the process had to end: whoever asks again reaches another."""
    error = UnavailableError("restarting", retry_after_s=_RESTART_S)
    return shape_for(request.url.path)(request, to_problem(request, error))


async def _other(request: Request, error: Exception) -> Response:
    return shape_for(request.url.path)(request, to_problem(request, error))
