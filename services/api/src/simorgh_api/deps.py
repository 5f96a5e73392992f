"""What routes ask for: settings, the request's session, storage, and who is asking.

What only hands over something that is there is `async`, though it waits for nothing: FastAPI runs all else in a thread,
and four of those hops cost a chat more than finding out who asks.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Header, Query, Request
from fastapi.security import HTTPBearer
from sqlalchemy.orm import Session, sessionmaker

from simorgh_api.auditing import remember_principal
from simorgh_api.auth import Passwords, Tokens
from simorgh_api.limits import Limits, kind_of
from simorgh_api.settings import ApiSettings
from simorgh_api.surfaces import UnitOfWork
from simorgh_api.usecases import principals, tickets
from simorgh_api.usecases.principals import Principal
from simorgh_api.usecases.tickets import Watcher
from simorgh_shared.domain.errors import ForbiddenError, UnauthenticatedError
from simorgh_shared.queue.submit import notify
from simorgh_shared.storage.blobs import BlobStore
from simorgh_shared.storage.incoming import IncomingStore

_ANY_KEY = "sk-"  # ours, and those of other services that somebody pastes: told as keys
_bearer = HTTPBearer(auto_error=False, description="An access token, or an API key sk-simorgh-….")


async def get_settings(request: Request) -> ApiSettings:
    """The gateway's settings."""
    settings: ApiSettings = request.app.state.settings
    return settings


async def get_sessions(request: Request) -> sessionmaker[Session]:
    """For short sessions in `async def` endpoints: `with sessions.begin() as session`, in a thread."""
    sessions: sessionmaker[Session] = request.app.state.sessions
    return sessions


async def get_blobs(request: Request) -> BlobStore:
    """The object storage."""
    blobs: BlobStore = request.app.state.blobs
    return blobs


async def get_incoming(request: Request) -> IncomingStore:
    """Files on their way to the storage."""
    incoming: IncomingStore = request.app.state.incoming
    return incoming


async def get_tokens(request: Request) -> Tokens:
    """Makes and checks access tokens."""
    tokens: Tokens = request.app.state.tokens
    return tokens


async def get_passwords(request: Request) -> Passwords:
    """Hashes passwords."""
    passwords: Passwords = request.app.state.passwords
    return passwords


async def get_limits(request: Request) -> Limits:
    """How often somebody may ask."""
    limits: Limits = request.app.state.limits
    return limits


async def get_unit(request: Request) -> UnitOfWork:
    """The request's transaction, for what is to be done after it."""
    unit: UnitOfWork = request.state.unit
    return unit


async def get_session(unit: Annotated[UnitOfWork, Depends(get_unit)]) -> Session:
    """The request's session: committed by the edge before the answer goes out. Never commit it yourself."""
    return unit.session


async def get_notifier(request: Request, unit: Annotated[UnitOfWork, Depends(get_unit)]) -> Callable[[str, str], None]:
    """`notify(channel, payload)` after the commit, as a statement of its own."""
    engine = request.app.state.engine
    return lambda channel, payload: unit.after_commit(lambda: notify(engine, channel, payload))


def current_principal(
    request: Request,
    sessions: Annotated[sessionmaker[Session], Depends(get_sessions)],
    tokens: Annotated[Tokens, Depends(get_tokens)],
    limits: Annotated[Limits, Depends(get_limits)],
    _: Annotated[object, Depends(_bearer)] = None,
) -> Principal:
    """Who is asking, for which project, and not too often."""
    principal = _principal(request, sessions, tokens)
    limits.admit(principal, kind_of(request))
    remember_principal(request, principal)
    return principal


def stream_watcher(
    request: Request,
    sessions: Annotated[sessionmaker[Session], Depends(get_sessions)],
    tokens: Annotated[Tokens, Depends(get_tokens)],
    limits: Annotated[Limits, Depends(get_limits)],
    _: Annotated[object, Depends(_bearer)] = None,
    ticket: Annotated[
        str | None,
        Query(max_length=200, description="From POST /api/auth/tickets, in place of the Authorization header."),
    ] = None,
) -> Watcher:
    """Who opens a stream: by a ticket in the query, else as everywhere."""
    if ticket is None:
        return Watcher(_with_scope(current_principal(request, sessions, tokens, limits), "read"))
    query = request.query_params
    stream = tickets.spelling(request.scope["path"], query.multi_items())
    is_reconnect = "last-event-id" in request.headers or tickets.RESUME_PARAMETER in query
    with sessions.begin() as session:
        watcher = tickets.open_stream(session, ticket, stream, is_reconnect)
    limits.admit(watcher.principal, kind_of(request))
    return watcher


def _principal(request: Request, sessions: sessionmaker[Session], tokens: Tokens) -> Principal:
    """Looked up in a short session of its own, so that streams hold none."""
    scheme, _sep, credential = request.headers.get("authorization", "").partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not credential:
        raise UnauthenticatedError("unauthenticated")
    project_id = request.headers.get("openai-project") or None
    if credential.startswith(_ANY_KEY):
        with sessions.begin() as session:
            return principals.of_api_key(session, credential, project_id)
    claims = tokens.read(credential)
    with sessions() as session:
        principal = principals.of_session(session, claims.user_id, claims.session_id, project_id)
    return replace(principal, expires_at=claims.expires_at)


def _needing(scope: str) -> Callable[[Principal], Awaitable[Principal]]:
    async def check(principal: Annotated[Principal, Depends(current_principal)]) -> Principal:
        return _with_scope(principal, scope)

    return check


def _with_scope(principal: Principal, scope: str) -> Principal:
    if scope not in principal.scopes:
        holder = "API key" if principal.key_id else "role"
        has = ", ".join(sorted(principal.scopes)) or "nothing"
        raise ForbiddenError("forbidden", needs=scope, holder=holder, has=has)
    return principal


async def signed_in(principal: Annotated[Principal, Depends(current_principal)]) -> Principal:
    """A person, not a key: for accounts, sessions and keys."""
    if principal.session_id is None:
        raise ForbiddenError("keys_cannot_manage")
    return principal


Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
Cursor = Annotated[str | None, Query(max_length=200, description="The `next_cursor` of the page before.")]
IdempotencyKey = Annotated[
    str | None, Header(max_length=255, description="The same key and body again answer the first job.")
]
RetryCount = Annotated[
    int,
    Header(alias="x-stainless-retry-count", ge=0, description="Sent by OpenAI's SDKs: a retry makes no second job."),
]
Settings = Annotated[ApiSettings, Depends(get_settings)]
Sessions = Annotated[sessionmaker[Session], Depends(get_sessions)]
Blobs = Annotated[BlobStore, Depends(get_blobs)]
Incoming = Annotated[IncomingStore, Depends(get_incoming)]
DbSession = Annotated[Session, Depends(get_session)]
Notify = Annotated[Callable[[str, str], None], Depends(get_notifier)]
CurrentPrincipal = Annotated[Principal, Depends(current_principal)]
Reader = Annotated[Principal, Depends(_needing("read"))]
Writer = Annotated[Principal, Depends(_needing("write"))]
Admin = Annotated[Principal, Depends(_needing("admin"))]
StreamWatcher = Annotated[Watcher, Depends(stream_watcher)]
SignedIn = Annotated[Principal, Depends(signed_in)]
