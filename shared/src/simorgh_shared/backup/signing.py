"""Says who made a backup: a signed statement about its manifest, which names everything else by its hash."""

import hashlib
import json

from simorgh_shared import attestation
from simorgh_shared.attestation import AttestationError, SigningKey
from simorgh_shared.backup.contents import BACKUPS, ENVELOPE, MANIFEST
from simorgh_shared.backup.places import Place
from simorgh_shared.domain.errors import InvalidInputError, NotFoundError

_PREDICATE_TYPE = "urn:simorgh:backup:1"


def signing_key(secret: str | None) -> SigningKey | None:
    """The key that signs backups.

    Raises: InvalidInputError for a secret that is no key.
    """
    if not secret:
        return None
    try:
        return SigningKey(secret)
    except ValueError as error:
        raise InvalidInputError("backup_key_unfit", reason=str(error)) from error


def sign(place: Place, name: str, manifest: bytes, key: SigningKey) -> None:
    """Put the statement beside the manifest that is about to be written."""
    envelope = key.sign({MANIFEST: _sha256(manifest)}, {"backup": name}, _PREDICATE_TYPE)
    place.put(f"{BACKUPS}{name}/{ENVELOPE}", [json.dumps(envelope).encode()])


def require_signature(place: Place, name: str, manifest: bytes, key: SigningKey) -> None:
    """Raises: InvalidInputError unless this key signed this manifest."""
    try:
        envelope = json.loads(b"".join(place.read(f"{BACKUPS}{name}/{ENVELOPE}")))
        statement = attestation.read(envelope, key.public_pem, _PREDICATE_TYPE)
        if statement.files.get(MANIFEST) != _sha256(manifest) or statement.predicate.get("backup") != name:
            raise AttestationError("it is about another backup")
    except NotFoundError as error:
        raise InvalidInputError("backup_unsigned", name=name, reason="nobody has signed it") from error
    except json.JSONDecodeError as error:
        raise InvalidInputError("backup_unsigned", name=name, reason="its signature is damaged") from error
    except AttestationError as error:
        raise InvalidInputError("backup_unsigned", name=name, reason=str(error)) from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
