"""Where a model comes from and what was made of it, as the API shows it; and its signed manifest."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

NodeKind = Literal["dataset_version", "tokenizer", "upload", "model_version", "job", "checkpoint"]
Relation = Literal[
    "used",
    "trained",
    "part_of",
    "sent",
    "trained_further",
    "optimised",
    "converted",
    "started",
    "saved",
    "led_to",
    "made",
]


class LineageNode(BaseModel):
    """A thing that models come from, or a model."""

    id: str
    kind: NodeKind
    name: str | None = None
    created_at: datetime | None = None
    deleted: bool = False
    """Whether it was taken away since. What it was stays known."""
    sha256: dict[str, str] = {}
    """The SHA-256 of its parts: of files by their path, of splits by their name."""
    details: dict[str, Any] = {}


class LineageEdge(BaseModel):
    """`source` comes before `target`."""

    source: str
    target: str
    relation: Relation


class LineageView(BaseModel):
    """All that a version was made from, and all that was made from it."""

    version_id: str
    nodes: list[LineageNode]
    edges: list[LineageEdge]
    truncated: bool
    """Whether there is more than one answer holds."""


class SignatureView(BaseModel):
    """A signature, and the key that made it."""

    keyid: str
    sig: str


class EnvelopeView(BaseModel):
    """A DSSE envelope: a signed in-toto statement in base64."""

    payloadType: str  # the name that the protocol gives it
    payload: str
    signatures: list[SignatureView]


class SigningKeyView(BaseModel):
    """The public key that tells whether a manifest is ours."""

    key_id: str
    """The SHA-256 of the public key."""
    algorithm: Literal["ed25519"] = "ed25519"
    public_key: str
    """PEM."""
