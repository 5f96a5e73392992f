"""The audit log."""

from datetime import datetime

from pydantic import BaseModel, Field


class AuditView(BaseModel):
    """A change, or a sign-in that failed."""

    id: str
    at: datetime
    user_id: str | None = Field(description="Who. Null where nobody was known to be asking.")
    key_id: str | None = Field(description="The API key, where it was not a session.")
    session_id: str | None
    action: str = Field(description="The operation's id in this description, such as `delete_dataset`.")
    targets: list[str] = Field(description="Ids of what was changed or made.")
    status: int = Field(description="The HTTP status of the answer: 401 for a sign-in that failed.")
    address: str
    user_agent: str
    request_id: str
