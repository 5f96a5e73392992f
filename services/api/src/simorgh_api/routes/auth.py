"""Signing up, in and out."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request

from simorgh_api.auditing import remember_claimant, remember_principal
from simorgh_api.auth import Passwords, Tokens
from simorgh_api.deps import (
    CurrentPrincipal,
    DbSession,
    Sessions,
    Settings,
    SignedIn,
    get_limits,
    get_passwords,
    get_tokens,
    get_unit,
)
from simorgh_api.limits import Limits, address_of
from simorgh_api.surfaces import UnitOfWork, native_router
from simorgh_api.usecases import accounts, principals, tickets
from simorgh_api.usecases.audit import Claimant
from simorgh_shared.db.models import User
from simorgh_shared.domain.errors import AppError, UnauthenticatedError
from simorgh_shared.schemas.accounts import (
    Credentials,
    MeView,
    RefreshRequest,
    Registration,
    SessionView,
    SignedInView,
    UserView,
    VerifyRequest,
    VerifyView,
)
from simorgh_shared.schemas.envelope import Answer, Done
from simorgh_shared.schemas.tickets import TicketRequest, TicketView

router = native_router("/auth", "auth")
TokensDep = Annotated[Tokens, Depends(get_tokens)]
PasswordsDep = Annotated[Passwords, Depends(get_passwords)]
LimitsDep = Annotated[Limits, Depends(get_limits)]


@router.post("/register", status_code=201)
def register(
    body: Registration,
    request: Request,
    session: DbSession,
    settings: Settings,
    tokens: TokensDep,
    passwords: PasswordsDep,
    limits: LimitsDep,
) -> Answer[SignedInView]:
    """Make an account with its first project, and sign in."""
    limits.admit_registration(address_of(request))
    hashed = passwords.hash(body.password.get_secret_value())
    user = accounts.register(session, body.email, hashed, body.name or body.email.partition("@")[0])
    signed = accounts.sign_in(session, user, _client(request), settings.refresh_token_s)
    return Answer(data=_signed_in(request, session, signed, tokens))


@router.post("/login")
def login(
    body: Credentials,
    request: Request,
    session: DbSession,
    sessions: Sessions,
    settings: Settings,
    tokens: TokensDep,
    passwords: PasswordsDep,
    limits: LimitsDep,
) -> Answer[SignedInView]:
    """Sign in with e-mail and password. After some wrong ones the next must wait, as `Retry-After` says."""
    password = body.password.get_secret_value()
    remember_claimant(request, Claimant(email=body.email.strip().lower()))
    with sessions() as short:
        known = accounts.addresses(short, body.email)
    with limits.guess(body.email.strip().lower(), address_of(request), known):
        user = accounts.check_password(session, body.email, lambda stored: passwords.fits(stored, password))
    signed = accounts.sign_in(session, user, _client(request), settings.refresh_token_s)
    return Answer(data=_signed_in(request, session, signed, tokens))


@router.post("/refresh")
def refresh(
    body: RefreshRequest,
    request: Request,
    session: DbSession,
    sessions: Sessions,
    settings: Settings,
    tokens: TokensDep,
    limits: LimitsDep,
    unit: Annotated[UnitOfWork, Depends(get_unit)],
) -> Answer[SignedInView]:
    """Exchange a refresh token, once, for new tokens. A second use ends the session."""
    address = address_of(request)
    with sessions() as short:
        owner_id = accounts.owner_of(short, body.refresh_token)
    remember_claimant(request, Claimant(user_id=owner_id))
    with limits.guess(f"refresh {owner_id or ''}", address, known_addresses=[address]):
        signed = accounts.refresh(session, body.refresh_token, settings.refresh_token_s)
        if signed is None:
            unit.commit()  # the refusal must not undo that the session was ended
            raise UnauthenticatedError("refresh_reused")
    return Answer(data=_signed_in(request, session, signed, tokens))


@router.post("/verify")
def verify(request: Request, body: VerifyRequest, session: DbSession, tokens: TokensDep) -> Answer[VerifyView]:
    """Tell whether an access token is good and whose it is."""
    token = body.token or request.headers.get("authorization", "").partition(" ")[2].strip()
    try:
        claims = tokens.read(token)
        principals.of_session(session, claims.user_id, claims.session_id, None)
    except AppError as error:
        return Answer(data=VerifyView(valid=False, reason=error.message()))
    return Answer(data=VerifyView(valid=True, user_id=claims.user_id, expires_at=claims.expires_at))


@router.post("/logout")
def logout(session: DbSession, principal: SignedIn) -> Answer[Done]:
    """End the session of this token."""
    accounts.end_session(session, principal.user_id, str(principal.session_id))
    return Answer(data=Done())


@router.get("/me")
def me(session: DbSession, principal: CurrentPrincipal) -> Answer[MeView]:
    """Who is asking, in which project, with which rights."""
    user = session.get_one(User, principal.user_id)
    view = MeView.model_validate(
        {
            "user": _user(user),
            "project_id": principal.project_id,
            "role": principal.role,
            "scopes": sorted(principal.scopes),
        }
    )
    return Answer(data=view)


@router.get("/sessions")
def list_sessions(session: DbSession, principal: SignedIn) -> Answer[list[SessionView]]:
    """One's live sessions."""
    return Answer(
        data=[
            SessionView(
                id=row.id,
                user_agent=row.user_agent,
                address=row.address,
                created_at=row.created_at,
                last_used_at=row.last_used_at,
                current=row.id == principal.session_id,
            )
            for row in accounts.list_sessions(session, principal.user_id)
        ]
    )


@router.delete("/sessions/{session_id}")
def end_session(session_id: str, session: DbSession, principal: SignedIn) -> Answer[Done]:
    """End one of one's sessions; its tokens fail at once."""
    accounts.end_session(session, principal.user_id, session_id)
    return Answer(data=Done())


@router.post("/tickets", operation_id="create_stream_ticket", status_code=201)
def create_ticket(
    body: TicketRequest, session: DbSession, settings: Settings, principal: SignedIn
) -> Answer[TicketView]:
    """Get a ticket for one stream, for browsers' `EventSource`, which sends no headers.

    It is good for that path and query only, for the current project: to be opened first within 30 s, and again by
    connections that send `Last-Event-ID` until the access token expires. A connection that goes on ends the one
    before it; ending the session ends them all.
    """
    ticket, secret = tickets.issue(session, principal, body.path, settings.ticket_first_use_s)
    url = f"{body.path}{'&' if '?' in body.path else '?'}{tickets.TICKET_PARAMETER}={secret}"
    return Answer(
        data=TicketView(ticket=secret, url=url, first_use_by=ticket.first_use_by, expires_at=ticket.expires_at)
    )


def _client(request: Request) -> accounts.Client:
    return accounts.Client(request.headers.get("user-agent", ""), address_of(request))


def _signed_in(request: Request, session: DbSession, signed: accounts.SignIn, tokens: Tokens) -> SignedInView:
    principal = principals.of_session(session, signed.user.id, signed.session_id, None)
    remember_principal(request, principal)
    return SignedInView(
        access_token=tokens.make(signed.user.id, signed.session_id, datetime.now(UTC)),
        refresh_token=signed.refresh_token,
        expires_in=tokens.lifetime_s,
        user=_user(signed.user),
        project_id=principal.project_id,
    )


def _user(user: User) -> UserView:
    return UserView(id=user.id, email=user.email, name=user.name)
