"""The envelope of the native surface: what every answer under /api looks like."""

from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

DataT = TypeVar("DataT")


class RequestBody(BaseModel):
    """A body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Answer(BaseModel, Generic[DataT]):
    """An answer with one thing in it."""

    ok: Literal[True] = True
    data: DataT


class Page(BaseModel, Generic[DataT]):
    """A part of a list. `next_cursor` asks for the next part; null means that this was the last."""

    ok: Literal[True] = True
    data: list[DataT]
    next_cursor: str | None = None


class Problem(BaseModel):
    """What went wrong (RFC 9457). Further members may tell more, such as `valid_lines`."""

    model_config = ConfigDict(extra="allow")

    ok: Literal[False] = False
    code: str
    error: str
    errors: list[str]
    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str


class OpenAIErrorBody(BaseModel):
    """What went wrong, in OpenAI's words."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    """The error of the OpenAI-compatible surface."""

    error: OpenAIErrorBody


class Deleted(BaseModel):
    """A thing that was taken away."""

    id: str
    deleted: Literal[True] = True


class Done(BaseModel):
    """Nothing more to say than that it was done."""

    done: Literal[True] = True
