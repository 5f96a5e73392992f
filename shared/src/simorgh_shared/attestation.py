"""Signed statements about files: an in-toto Statement in a DSSE envelope, signed by Ed25519.

Sources: https://github.com/in-toto/attestation (Statement v1), https://github.com/secure-systems-lab/dsse (1.0).
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "urn:simorgh:lineage:1"
_SEED_BYTES = 32


class AttestationError(Exception):
    """A statement that is not to be believed. The text tells why, as the end of a sentence."""


@dataclass(frozen=True)
class Statement:
    """What somebody has signed."""

    files: Mapping[str, str]
    """The SHA-256 of each file by its path."""
    predicate: Mapping[str, Any]
    key_ids: tuple[str, ...]
    """The keys that signed it, as the envelope says."""


class SigningKey:
    """An Ed25519 key that signs."""

    def __init__(self, secret: str) -> None:
        """Take 32 bytes in base64, or a private key as PEM.

        Raises: ValueError for anything else.
        """
        self._private = _private(secret.strip())
        self._public = self._private.public_key()

    @property
    def public_pem(self) -> str:
        """The key that tells whether it was this one that signed."""
        return self._public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def key_id(self) -> str:
        """The SHA-256 of the public key."""
        return _key_id(self._public)

    def sign(
        self, files: Mapping[str, str], predicate: Mapping[str, Any], predicate_type: str = PREDICATE_TYPE
    ) -> dict[str, Any]:
        """The envelope of a statement. The same statement gives the same bytes."""
        statement = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": path, "digest": {"sha256": files[path]}} for path in sorted(files)],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
        payload = json.dumps(statement, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        signature = self._private.sign(_pre_authentication(PAYLOAD_TYPE, payload))
        return {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": self.key_id, "sig": base64.b64encode(signature).decode()}],
        }


def read(envelope: object, public_pem: str | None, predicate_type: str = PREDICATE_TYPE) -> Statement:
    """What an envelope says, if this key has signed it; without a key nobody vouches for it.

    Raises: AttestationError.
    """
    try:
        if not isinstance(envelope, dict) or envelope["payloadType"] != PAYLOAD_TYPE:
            raise AttestationError("it is no signed in-toto statement")
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [(str(one.get("keyid", "")), base64.b64decode(one["sig"])) for one in envelope["signatures"]]
        if public_pem is not None:
            _require_signature(public_pem, payload, [signature for _, signature in signatures])
        statement = json.loads(payload)
        if statement["_type"] != STATEMENT_TYPE or statement["predicateType"] != predicate_type:
            raise AttestationError("it states something else than was asked for")
        files = {str(one["name"]): str(one["digest"]["sha256"]) for one in statement["subject"]}
        return Statement(files, statement["predicate"], tuple(key_id for key_id, _ in signatures))
    except (KeyError, TypeError, AttributeError, binascii.Error, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise AttestationError(f"it is damaged ({type(error).__name__})") from error


def _require_signature(public_pem: str, payload: bytes, signatures: list[bytes]) -> None:
    try:
        key = load_pem_public_key(public_pem.encode())
    except ValueError as error:
        raise AttestationError("the key is no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise AttestationError("the key is no Ed25519 key")
    for signature in signatures:
        try:
            key.verify(signature, _pre_authentication(PAYLOAD_TYPE, payload))
            return
        except InvalidSignature:
            continue
    raise AttestationError(f"it was not signed by the key {_key_id(key)[:16]}…, or was changed since")


def _pre_authentication(kind: str, payload: bytes) -> bytes:
    """What is signed: type and body with their lengths, so that neither can pass for the other."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def _private(secret: str) -> Ed25519PrivateKey:
    if secret.startswith("-----BEGIN"):
        try:
            key = load_pem_private_key(secret.encode(), password=None)
        except (TypeError, UnsupportedAlgorithm) as error:
            raise ValueError("the signing key is encrypted, or of an unknown kind") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("the signing key is no Ed25519 key")
        return key
    try:
        seed = base64.b64decode(secret.translate(str.maketrans("-_", "+/")) + "=" * (-len(secret) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("the signing key is neither base64 nor PEM") from error
    if len(seed) != _SEED_BYTES:
        raise ValueError(f"the signing key has {len(seed)} bytes where {_SEED_BYTES} are needed")
    return Ed25519PrivateKey.from_private_bytes(seed)


def _key_id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
