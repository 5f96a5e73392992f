"""Accounts: registering, signing in, sessions, API keys, projects and preferences."""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, SecretStr, StringConstraints

from simorgh_shared.schemas.envelope import RequestBody

_ADDRESS = r"^[^@\s]+@[^@\s]+\.?[^@\s]*$"


def _address(text: str) -> str:
    if not re.match(_ADDRESS, text):
        raise ValueError("it is no e-mail address such as you@example.org")
    return text


Email = Annotated[
    str,
    StringConstraints(to_lower=True, max_length=254, strip_whitespace=True),
    AfterValidator(_address),
    Field(json_schema_extra={"pattern": _ADDRESS}),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Role = Literal["owner", "editor", "viewer"]
Scope = Literal["read", "write", "admin"]


class Registration(RequestBody):
    """A new account."""

    email: Email
    password: SecretStr = Field(min_length=8, max_length=1_000)
    name: Name | None = None


class Credentials(RequestBody):
    """Signing in."""

    email: str = Field(max_length=254)
    password: SecretStr = Field(max_length=1_000)


class RefreshRequest(RequestBody):
    """A refresh token, good for one use."""

    refresh_token: str = Field(min_length=1, max_length=200)


class VerifyRequest(RequestBody):
    """A token to look at; without it the one in the Authorization header."""

    token: str | None = Field(None, max_length=4_000)


class UserView(BaseModel):
    """A user."""

    id: str
    email: str
    name: str


class SignedInView(BaseModel):
    """Tokens, and whose they are."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the scheme's name
    expires_in: int
    user: UserView
    project_id: str


class MeView(BaseModel):
    """Who is asking and what they may do."""

    user: UserView
    project_id: str
    role: Role
    scopes: list[Scope]


class VerifyView(BaseModel):
    """Whether a token is good, and whose it is."""

    valid: bool
    user_id: str | None = None
    expires_at: datetime | None = None
    reason: str | None = None


class SessionView(BaseModel):
    """A sign-in."""

    id: str
    user_agent: str
    address: str
    created_at: datetime
    last_used_at: datetime
    current: bool


class NewKey(RequestBody):
    """An API key to make."""

    name: Name = "key"
    scopes: list[Scope] = Field(["read", "write"], min_length=1)
    expires_at: datetime | None = None


class KeyView(BaseModel):
    """An API key without its secret."""

    id: str
    name: str
    prefix: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class NewKeyView(KeyView):
    """An API key with its secret, shown this once."""

    key: str


class NewProject(RequestBody):
    """A project to make or its new name."""

    name: Name


class ProjectChange(RequestBody):
    """What is to be changed of a project; what is left out stays."""

    name: Name | None = None
    checkpoints_kept: int | None = Field(None, ge=1, le=1_000)
    """So many checkpoints of a run stay once it has ended; null means the platform's setting."""


class ProjectView(BaseModel):
    """A project and one's role in it."""

    id: str
    name: str
    role: Role
    created_at: datetime
    checkpoints_kept: int | None = None
    """So many checkpoints of a run stay once it has ended; null means the platform's setting."""


class NewMember(RequestBody):
    """Someone to let into a project."""

    email: Email
    role: Role


class MemberView(BaseModel):
    """A member of a project."""

    user_id: str
    email: str
    name: str
    role: Role


class Preferences(RequestBody):
    """A user's preferences."""

    language: Literal["fa", "en"] = "fa"
    theme: Literal["light", "dark", "system"] = "system"
    default_project_id: str | None = None
