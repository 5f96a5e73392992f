"""Signed statements: what was changed, and what another key signed, is not believed (R-MODEL-2)."""

import base64
import copy
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from simorgh_shared.attestation import AttestationError, SigningKey, read

SEED = bytes(range(32))
FILES = {"model.safetensors": "a" * 64, "config.json": "b" * 64}


@pytest.fixture
def key() -> SigningKey:
    return SigningKey(base64.b64encode(SEED).decode())


@pytest.fixture
def envelope(key: SigningKey) -> dict[str, Any]:
    return key.sign(FILES, {"version_id": "mver_1"})


def changed(envelope: dict[str, Any], *path: str, value: object) -> dict[str, Any]:
    """The envelope with another statement in it, under the old signature."""
    other = copy.deepcopy(envelope)
    statement = json.loads(base64.b64decode(other["payload"]))
    place = statement
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    other["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    return other


class TestSigningKey:
    def test_base64_of_both_alphabets_and_pem_are_the_same_key(self, key: SigningKey) -> None:
        """R-MODEL-2: however the operator keeps it."""
        pem = Ed25519PrivateKey.from_private_bytes(SEED).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        bare = base64.urlsafe_b64encode(SEED).decode().rstrip("=")
        assert {SigningKey(secret).key_id for secret in (pem.decode(), bare)} == {key.key_id}

    @pytest.mark.parametrize("secret", ["", "short", "!" * 44, base64.b64encode(b"x" * 31).decode()])
    def test_anything_else_is_refused(self, secret: str) -> None:
        with pytest.raises(ValueError, match="signing key"):
            SigningKey(secret)

    def test_the_same_statement_gives_the_same_envelope(self, key: SigningKey, envelope: dict[str, Any]) -> None:
        """R-MODEL-2: in whatever order it was put together."""
        assert key.sign(dict(reversed(FILES.items())), {"version_id": "mver_1"}) == envelope


class TestRead:
    def test_it_is_an_in_toto_statement(self, key: SigningKey, envelope: dict[str, Any]) -> None:
        """R-MODEL-2: as tools of others read it."""
        statement = json.loads(base64.b64decode(envelope["payload"]))
        assert statement["_type"] == "https://in-toto.io/Statement/v1"
        assert statement["subject"] == [
            {"name": path, "digest": {"sha256": FILES[path]}} for path in ("config.json", "model.safetensors")
        ]
        found = read(envelope, key.public_pem)
        assert (found.files, found.predicate, found.key_ids) == (FILES, {"version_id": "mver_1"}, (key.key_id,))

    @pytest.mark.parametrize(
        ("path", "value"),
        [(("predicate", "version_id"), "mver_2"), (("subject",), []), (("predicateType",), "urn:x")],
    )
    def test_a_changed_statement_is_found(
        self, key: SigningKey, envelope: dict[str, Any], path: tuple[str, ...], value: object
    ) -> None:
        """R-MODEL-2: subject, predicate and kind are signed."""
        with pytest.raises(AttestationError, match="was not signed by the key"):
            read(changed(envelope, *path, value=value), key.public_pem)

    def test_another_key_is_found(self, envelope: dict[str, Any]) -> None:
        """R-MODEL-2: whoever signed it, it was not this one."""
        with pytest.raises(AttestationError, match="was not signed by the key"):
            read(envelope, SigningKey(base64.b64encode(bytes(32)).decode()).public_pem)

    @pytest.mark.parametrize(
        "damaged", [None, {}, {"payloadType": "x"}, {"payloadType": "application/vnd.in-toto+json", "payload": "?"}]
    )
    def test_what_is_no_envelope_is_told(self, key: SigningKey, damaged: object) -> None:
        with pytest.raises(AttestationError):
            read(damaged, key.public_pem)
