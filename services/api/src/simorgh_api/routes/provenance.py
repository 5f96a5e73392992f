"""Where models come from: lineage, signed manifests, the key that signs, and the files themselves (R-MODEL-2)."""

from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request
from fastapi.responses import StreamingResponse

from simorgh_api.deps import Blobs, DbSession, Reader, Sessions
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import model_folders
from simorgh_api.usecases.lineage import graph
from simorgh_shared.attestation import SigningKey
from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.schemas.envelope import Answer
from simorgh_shared.schemas.lineage import EnvelopeView, LineageView, SigningKeyView

router = native_router("/models", "models")


async def get_manifest_key(request: Request) -> SigningKey:
    """The key that signs manifests.

    Raises: UnavailableError where none is set.
    """
    key: SigningKey | None = request.app.state.manifest_key
    if key is None:
        raise UnavailableError("manifest_key_missing")
    return key


ManifestKey = Annotated[SigningKey, Depends(get_manifest_key)]


@router.get("/signing-key", operation_id="get_model_signing_key")
def signing_key(principal: Reader, key: ManifestKey) -> Answer[SigningKeyView]:
    """The public key that tells whether a manifest was signed here. Keep it where manifests do not come from."""
    del principal
    return Answer(data=SigningKeyView(key_id=key.key_id, public_key=key.public_pem))


@router.get("/{model_id}/lineage", operation_id="get_model_lineage")
def lineage(session: DbSession, principal: Reader, model_id: str) -> Answer[LineageView]:
    """What a version was made from, and what was made from it: datasets, tokenizers, models, jobs, checkpoints.

    Named by the id of a version or a model, or by a name (its newest version). What was deleted is there, and marked.
    """
    version_id = graph.find(session, principal.project_id, model_id)
    return Answer(data=graph.whole(session, principal.project_id, version_id))


@router.get("/{model_id}/manifest", operation_id="get_model_manifest")
def manifest(session: DbSession, principal: Reader, model_id: str, key: ManifestKey) -> Answer[EnvelopeView]:
    """The signed statement of a version's files and lineage: an in-toto statement in a DSSE envelope."""
    envelope = model_folders.signed(session, principal.project_id, model_id, key)
    return Answer(data=EnvelopeView.model_validate(envelope))


@router.get(
    "/{model_id}/download",
    operation_id="download_model",
    response_class=StreamingResponse,
    responses={200: {"description": "The files as a tar archive.", "content": {"application/x-tar": {}}}},
)
def download(sessions: Sessions, principal: Reader, blobs: Blobs, model_id: str) -> StreamingResponse:
    """All files of a version as one tar archive, each with its SHA-256 in the header SIMORGH.sha256."""
    with sessions() as session:
        folder = model_folders.find(session, principal.project_id, model_id)
    size, pieces = model_folders.archive(sessions, blobs, folder)
    name = quote(f"{folder.name}-v{folder.number}.tar", safe="")
    headers = {
        "content-disposition": f"attachment; filename*=UTF-8''{name}",
        "content-length": str(size),
        "x-simorgh-model-version": folder.version_id,
    }
    return StreamingResponse(pieces, media_type="application/x-tar", headers=headers)
