"""What of a request goes into the audit log, and when it is written (R-AUTH-6).

Never bodies, prompts or secrets: of an answer only ids are read.
"""

import dataclasses
import json
import re
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from simorgh_api.errors import request_id
from simorgh_api.limits import Kind, address_of, kind_of
from simorgh_api.usecases import audit
from simorgh_api.usecases.audit import Act, Claimant
from simorgh_api.usecases.principals import Principal
from simorgh_shared.logging import cause

log = structlog.get_logger()
_PRINCIPAL, _CLAIMANT = "simorgh.principal", "simorgh.claimant"
_CHANGE_NOTHING = frozenset({"auth_verify"})
_ID = re.compile(r"[a-z]{1,12}_[0-9a-hjkmnp-tv-z]{26}")
_IDS_OF_ANSWERS = ("id", "runId", "user_id")
_TARGET_CHARS = 100
_ANSWER_BYTES = 1 << 20


def remember_principal(request: Request, principal: Principal) -> None:
    """Who the request comes from."""
    request.scope[_PRINCIPAL] = principal


def remember_claimant(request: Request, claimant: Claimant) -> None:
    """Whose sign-in this would be: when it fails, that is written down."""
    request.scope[_CLAIMANT] = claimant


def change(request: Request, response: Response, action: str) -> Act | None:
    """What is to be written of a request that succeeded; None where it changed nothing."""
    if kind_of(request) is not Kind.WRITE or action in _CHANGE_NOTHING or response.status_code >= 400:
        return None
    named = [str(value)[:_TARGET_CHARS] for value in request.path_params.values()]
    targets = tuple(dict.fromkeys([*named, *_ids_of(response)]))
    return dataclasses.replace(_act(request, action, response.status_code), targets=targets)


def record(session: Session, request: Request, act: Act) -> None:
    """Write it in the transaction of the change."""
    audit.record(session, act, _principal(request))


def record_after(sessions: sessionmaker[Session], request: Request, act: Act) -> None:
    """Write it after a change that had its own transactions. The change stands: what cannot be written is logged."""
    try:
        with sessions.begin() as session:
            record(session, request, act)
    except SQLAlchemyError as error:
        principal = _principal(request)
        who = dataclasses.asdict(principal) if principal else {}
        kept = {name: value for name, value in who.items() if name.endswith("_id")}
        log.error("audit_not_written", reason=cause(error), **kept, **dataclasses.asdict(act))


def record_failed_sign_in(sessions: sessionmaker[Session], request: Request, action: str) -> None:
    """Write down a sign-in that failed; any other request that was refused is not a change."""
    claimant: Claimant | None = request.scope.get(_CLAIMANT)
    if claimant is None:
        return
    act = _act(request, action, 401)
    try:
        with sessions.begin() as session:
            audit.record_failed_sign_in(session, act, claimant)
    except SQLAlchemyError as error:
        log.error("audit_not_written", reason=cause(error), **dataclasses.asdict(act))


def _act(request: Request, action: str, status: int) -> Act:
    agent = request.headers.get("user-agent", "")[:300]
    return Act(action, status, address_of(request), agent, request_id(request))


def _principal(request: Request) -> Principal | None:
    principal: Principal | None = request.scope.get(_PRINCIPAL)
    return principal


def _ids_of(response: Response) -> list[str]:
    if isinstance(response, StreamingResponse | FileResponse) or len(response.body) > _ANSWER_BYTES:
        return []
    try:
        answer: Any = json.loads(bytes(response.body))
    except ValueError:
        return []
    data = answer.get("data", answer) if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        return []
    found = [data.get(name) for name in _IDS_OF_ANSWERS]
    return [value for value in found if isinstance(value, str) and _ID.fullmatch(value)]
