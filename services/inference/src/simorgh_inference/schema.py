"""The requests of /v1/chat/completions and /v1/completions as far as this server answers them.

What would change the answer is refused. A field that is null means its default, and a field at its neutral value is
taken, as stock clients send both.
"""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

MOST_CHOICES = 8
_MOST_CHARACTERS = 1_000_000
_MOST_PROMPTS = 32
_MOST_INPUTS = 2048
_Text = Annotated[str, Field(min_length=1, max_length=_MOST_CHARACTERS)]
_Ids = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=_MOST_CHARACTERS)]
_SHOWN_CHARACTERS = 80
_NOT_SUPPORTED = "not_supported"


def _only(*neutral: object, says: str) -> AfterValidator:
    """Takes these values alone; the refusal names what is supported."""

    def check(given: object) -> object:
        if given in neutral:
            return given
        told = {
            "given": json.dumps(given)[:_SHOWN_CHARACTERS],
            "says": says,
            "known": " or ".join(json.dumps(value) for value in neutral or (None,)),
        }
        raise PydanticCustomError(
            _NOT_SUPPORTED, "{given} is not supported: {says}. Leave it out or send {known}", told
        )

    return AfterValidator(check)


_NO_TOOLS = "this server calls no tools"
_NO_AUDIO = "this server answers with text alone"


class _Fields(BaseModel):
    """Fields where null means that they were left out."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None}


class ChatMessage(_Fields):
    """One turn. An assistant's may be echoed as it was answered."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str = Field(max_length=_MOST_CHARACTERS)
    name: str | None = Field(None, max_length=64)
    """For templates that tell who speaks."""
    refusal: str | None = None
    annotations: list[Any] | None = None
    tool_calls: Annotated[list[Any], _only([], says=_NO_TOOLS)] = Field(default_factory=list)
    function_call: Annotated[Any, _only(says=_NO_TOOLS)] = None
    audio: Annotated[Any, _only(says=_NO_AUDIO)] = None

    @model_validator(mode="before")
    @classmethod
    def _said_or_refused(cls, given: object) -> object:
        """An assistant's message without content said its refusal, or nothing."""
        if isinstance(given, dict) and given.get("role") == "assistant" and given.get("content") is None:
            return given | {"content": given.get("refusal") or ""}
        return given

    @field_validator("content", mode="before")
    @classmethod
    def _joined(cls, given: object) -> object:
        return "".join(_text(part, number) for number, part in enumerate(given)) if isinstance(given, list) else given

    def for_engine(self) -> dict[str, str]:
        """The message as the template sees it."""
        role = "system" if self.role == "developer" else self.role
        return {"role": role, "content": self.content} | ({"name": self.name} if self.name else {})


class StreamOptions(_Fields):
    """What a stream tells beside the text."""

    include_usage: bool = False
    include_obfuscation: Annotated[Any, _only(False, says="the pieces of a stream are not padded")] = False


class ChatRequest(_Fields):
    """A chat request."""

    model: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: list[str] = Field(default_factory=list, max_length=4)
    n: int = Field(1, ge=1, le=MOST_CHOICES)
    logprobs: bool = False
    top_logprobs: int = Field(0, ge=0, le=20)

    # These have no say in the answer.
    user: str | None = None
    metadata: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    prediction: Any = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Any = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None

    # These have, at any other value.
    audio: Annotated[Any, _only(says=_NO_AUDIO)] = None
    frequency_penalty: Annotated[Any, _only(0, says="this server applies no penalties")] = 0
    function_call: Annotated[Any, _only("none", "auto", says=_NO_TOOLS)] = None
    functions: Annotated[Any, _only([], says=_NO_TOOLS)] = None
    logit_bias: Annotated[Any, _only({}, says="this server biases no tokens")] = None
    modalities: Annotated[Any, _only(["text"], says=_NO_AUDIO)] = None
    moderation: Annotated[Any, _only(says="this server judges no content")] = None
    presence_penalty: Annotated[Any, _only(0, says="this server applies no penalties")] = 0
    reasoning_effort: Annotated[Any, _only("none", says="reasoning cannot be steered")] = None
    response_format: Annotated[Any, _only({"type": "text"}, says="the answer is free text")] = None
    service_tier: Annotated[Any, _only("auto", "default", says="all requests are served alike")] = None
    store: Annotated[Any, _only(False, says="this server keeps no answers")] = False
    tool_choice: Annotated[Any, _only("none", "auto", says=_NO_TOOLS)] = None
    tools: Annotated[Any, _only([], says=_NO_TOOLS)] = None
    verbosity: Annotated[Any, _only("medium", says="the length of answers cannot be steered")] = None
    web_search_options: Annotated[Any, _only(says="this server searches nothing")] = None

    @field_validator("stop", mode="before")
    @classmethod
    def _as_list(cls, given: object) -> object:
        return [given] if isinstance(given, str) else given

    @field_validator("top_logprobs")
    @classmethod
    def _with_logprobs(cls, top_logprobs: int, others: ValidationInfo) -> int:
        if top_logprobs and not others.data.get("logprobs"):
            told = {"given": top_logprobs}
            raise PydanticCustomError(_NOT_SUPPORTED, "{given} says nothing without logprobs: send logprobs true", told)
        return top_logprobs

    def for_engine(self) -> list[dict[str, Any]]:
        """A request for each choice, as they cross the socket."""
        shared = {
            "messages": [message.for_engine() for message in self.messages],
            "max_tokens": self.max_completion_tokens or self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "stop": [stop for stop in self.stop if stop],
        } | ({"logprobs": self.top_logprobs} if self.logprobs else {})
        return [shared | {"seed": seed} for seed in _seeds(self.seed, self.n)]


class CompletionRequest(_Fields):
    """Texts to go on with, as they are: no template, no roles."""

    model: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")
    prompt: list[Annotated[str, Field(max_length=_MOST_CHARACTERS)]] = Field(min_length=1, max_length=_MOST_PROMPTS)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int = Field(16, ge=1)
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: list[str] = Field(default_factory=list, max_length=4)
    n: int = Field(1, ge=1, le=MOST_CHOICES)
    best_of: int | None = None
    logprobs: int | None = Field(None, ge=0, le=5)
    user: str | None = None

    echo: Annotated[Any, _only(False, says="the prompt is not repeated")] = False
    frequency_penalty: Annotated[Any, _only(0, says="this server applies no penalties")] = 0
    logit_bias: Annotated[Any, _only({}, says="this server biases no tokens")] = None
    presence_penalty: Annotated[Any, _only(0, says="this server applies no penalties")] = 0
    suffix: Annotated[Any, _only("", says="the models here go on with a text and fill no gaps")] = None

    @field_validator("prompt", mode="before")
    @classmethod
    def _texts(cls, given: object) -> object:
        texts = [given] if isinstance(given, str) else given
        if isinstance(texts, list) and any(isinstance(one, int | list) for one in texts):
            told = {"kind": "an array of token ids"}
            raise PydanticCustomError(
                _NOT_SUPPORTED, "{kind} is not supported. Send a text, or an array of texts", told
            )
        return texts

    @field_validator("stop", mode="before")
    @classmethod
    def _as_list(cls, given: object) -> object:
        return [given] if isinstance(given, str) else given

    @field_validator("n")
    @classmethod
    def _not_too_many(cls, n: int, others: ValidationInfo) -> int:
        num_choices = n * len(others.data.get("prompt", ()))
        if num_choices > _MOST_PROMPTS:
            told = {"num": num_choices, "most": _MOST_PROMPTS}
            raise PydanticCustomError(
                _NOT_SUPPORTED, "{num} answers are too many: {most} are the most for all prompts", told
            )
        return n

    @field_validator("best_of")
    @classmethod
    def _none_left_out(cls, best_of: int | None, others: ValidationInfo) -> int | None:
        n = others.data.get("n", best_of)
        if best_of not in (None, n):
            told = {"given": best_of, "n": n}
            sentence = "{given} is not supported: all answers that are made are sent. Leave it out or send {n}, as n is"
            raise PydanticCustomError(_NOT_SUPPORTED, sentence, told)
        return best_of

    @property
    def num_choices(self) -> int:
        """Answers to all prompts."""
        return len(self.prompt) * self.n

    def for_engine(self) -> list[dict[str, Any]]:
        """A request for each choice of each prompt, as they cross the socket."""
        shared = {
            "messages": [],
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "stop": [stop for stop in self.stop if stop],
            "cut_turns": False,
        } | ({} if self.logprobs is None else {"logprobs": self.logprobs})
        return [
            shared | {"prompt": prompt, "seed": seed} for prompt in self.prompt for seed in _seeds(self.seed, self.n)
        ]


class EmbeddingRequest(_Fields):
    """Texts to make vectors of, each as a text or as token ids."""

    model: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")
    input: list[_Text | _Ids] = Field(min_length=1, max_length=_MOST_INPUTS)
    encoding_format: Literal["float", "base64"] = "float"
    user: str | None = None

    dimensions: Annotated[Any, _only(says="a part of a vector is no vector of these models")] = None

    @field_validator("input", mode="before")
    @classmethod
    def _as_list(cls, given: object) -> object:
        is_one = isinstance(given, str) or (isinstance(given, list) and given and isinstance(given[0], int))
        return [given] if is_one else given

    def for_engine(self) -> dict[str, Any]:
        """The request as it crosses the socket."""
        return {"op": "embed", "inputs": self.input}


def _seeds(seed: int | None, num_choices: int) -> list[int | None]:
    """A seed for each choice. The first keeps the one that was asked for: one answer is the first of several."""
    if seed is None:
        return [None] * num_choices
    derived = (hashlib.sha256(f"{seed}:{at}".encode()).digest() for at in range(1, num_choices))
    return [seed, *(int.from_bytes(digest[:7]) for digest in derived)]


def _text(part: object, number: int) -> str:
    """The text of one part of a content."""
    kind = part.get("type") if isinstance(part, dict) else None
    text = part.get(kind) if isinstance(part, dict) and kind in ("text", "refusal") else None
    if not isinstance(text, str):
        told = {"number": number, "kind": json.dumps(kind)[:_SHOWN_CHARACTERS]}
        sentence = "part {number} is of type {kind}, and this server reads parts of type text alone"
        raise PydanticCustomError(_NOT_SUPPORTED, sentence, told)
    return text
