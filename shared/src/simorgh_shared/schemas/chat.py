"""Chatting with memory: a message in, an answer out, plain or streamed (R-CHAT-2)."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from simorgh_shared.schemas.conversations import MessageText, MessageView, Reference, Usage


def _either_case(name: str) -> AliasChoices:
    return AliasChoices(name, to_camel(name))


def _as_list(stop: object) -> object:
    return [stop] if isinstance(stop, str) else stop


StopText = Annotated[str, Field(min_length=1, max_length=1_000)]
StopTexts = Annotated[
    list[StopText], Field(max_length=4), BeforeValidator(_as_list, json_schema_input_type=StopText | list[StopText])
]


class AnswerOptions(BaseModel):
    """How a message is to be answered; snake_case, and camelCase is taken too."""

    model_config = ConfigDict(
        extra="forbid", alias_generator=AliasGenerator(validation_alias=_either_case), allow_inf_nan=False, frozen=True
    )

    model: Reference | None = None
    """A model by id, name, version or alias. The conversation goes on with it. Default: the conversation's model,
    and for a new conversation the project's newest one."""
    stream: bool = False
    """Answer with server-sent events: `start`, `delta`…, then `done` or `error`."""
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1, le=10_000_000)
    seed: int | None = Field(None, ge=0, lt=2**63)
    stop: StopTexts | None = None
    """Up to four strings; the answer ends before the first that comes."""

    @model_validator(mode="before")
    @classmethod
    def _given_once(cls, body: Any) -> Any:
        for name in cls.model_fields if isinstance(body, Mapping) else ():
            camel = to_camel(name)
            if camel != name and name in body and camel in body:
                raise ValueError(f"{name} and {camel} are the same parameter: give one of them")
        return body

    def sampling(self) -> dict[str, object]:
        """What was chosen of how the answer is drawn, under OpenAI's names."""
        chosen = {"temperature", "top_p", "max_tokens", "seed", "stop"}
        return self.model_dump(include=chosen, exclude_none=True)


class ChatBody(AnswerOptions):
    """A message, and how it is to be answered."""

    message: MessageText
    conversation_id: Reference | None = None
    """Go on with this conversation; without it a new one begins."""
    system: MessageText | None = None
    """What the model is told before the first message; for a new conversation only."""


class EditBody(AnswerOptions):
    """A question in other words, and how it is to be answered."""

    message: MessageText


class ChatView(BaseModel):
    """An answer, and the conversation that it belongs to."""

    conversation_id: str
    title: str
    model: str
    message: MessageView
    turns_cut: int
    """So many of the oldest turns were left out because the model's window does not hold them."""
    usage: Usage | None


class ChatStarted(BaseModel):
    """The first event of a streamed answer."""

    conversation_id: str
    model: str


class ChatDelta(BaseModel):
    """A piece of a streamed answer."""

    content: str


class ChatBroken(BaseModel):
    """The last event of a streamed answer that came to nothing: nothing of this turn was kept."""

    code: str
    error: str


class CompletionMessage(BaseModel):
    """What a model said, in OpenAI's shape."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None = None


class CompletionChoice(BaseModel):
    """One answer of a chat completion."""

    index: int
    message: CompletionMessage
    finish_reason: str
    logprobs: dict[str, Any] | None = None


class ChatCompletion(BaseModel):
    """A whole chat completion, in OpenAI's shape. It is passed on as the inference server gives it."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage


class TextChoice(BaseModel):
    """What one prompt was gone on with."""

    index: int
    text: str
    finish_reason: str
    logprobs: dict[str, Any] | None = None


class TextCompletion(BaseModel):
    """A whole completion, in OpenAI's shape. It is passed on as the inference server gives it."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage


class Embedding(BaseModel):
    """The vector of one text: floats, or those as float32 in base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """Tokens of all texts."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """The vectors of a request, in OpenAI's shape. It is passed on as the inference server gives it."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
