"""Uploads straight to storage: begun, counted, signed for, completed into an import job, aborted (R-DATA-8).

The bytes never come here. Sessions are short: none is open while the storage is asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_api.usecases import datasets, imports, paging, quotas
from simorgh_api.usecases.principals import Principal
from simorgh_shared.datasets.files import ImportOptions, format_of
from simorgh_shared.db.models import Upload
from simorgh_shared.domain.errors import ConflictError, InvalidInputError, LimitedError, NotFoundError, TooLargeError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.schemas.uploads import DirectUploadView, OpenUploadView, PartUrl, PartUrls, StoredPart
from simorgh_shared.storage.incoming import IncomingStore, Part, choose_part_bytes, compare_parts, new_key, part_sizes

_FIRST_URLS = 16
_SOON_S = 60


@dataclass(frozen=True)
class NewUpload:
    """A file that somebody wants to send."""

    filename: str
    bytes: int
    part_bytes: int | None
    sha256: str | None
    fingerprint: str | None
    options: ImportOptions = field(default_factory=ImportOptions)


@dataclass(frozen=True)
class Bounds:
    """What the operator allows."""

    bytes: int
    part_bytes: int
    num_open: int
    url_s: int


@dataclass(frozen=True)
class DirectUploads:
    """The uploads of one gateway."""

    sessions: sessionmaker[Session]
    storage: IncomingStore
    bounds: Bounds

    def begin(self, principal: Principal, new: NewUpload) -> OpenUploadView:
        """The open upload of the same file, else a new one; with addresses for its first missing parts.

        Raises: TooLargeError, UnsupportedError, InvalidInputError, NotFoundError, LimitedError.
        """
        format_of(new.filename)
        if new.bytes > self.bounds.bytes:
            raise TooLargeError("upload_too_large", limit_bytes=self.bounds.bytes)
        part_bytes = choose_part_bytes(new.bytes, new.part_bytes, self.bounds.part_bytes)
        with self.sessions.begin() as session:
            if (known := _same(session, principal, new)) is not None:
                return self._shown(known)
            self._admit(session, principal, new)
        key = new_key(principal.project_id)
        storage_id = self.storage.begin(key)
        with self.sessions.begin() as session:
            # Of two that begin the same file at once, the second finds here what the first has made.
            quotas.require_room(session, principal.project_id)
            upload = _same(session, principal, new)
            if is_new := upload is None:
                self._admit(session, principal, new)
                upload = _insert(session, principal, new, key, storage_id, part_bytes)
        if not is_new:
            self.storage.drop(key, storage_id)
        assert upload is not None
        return self._shown(upload)

    def get(self, principal: Principal, upload_id: str) -> OpenUploadView:
        """An upload, what came of it and what is missing; the addresses are for those who may change something.

        Raises: NotFoundError.
        """
        upload = self._used(principal.project_id, upload_id)
        return self._shown(upload, with_urls="write" in principal.scopes)

    def sign(self, project_id: str, upload_id: str, numbers: Sequence[int]) -> PartUrls:
        """Addresses for parts.

        Raises: NotFoundError, InvalidInputError for a part that there is not.
        """
        upload = self._used(project_id, upload_id, must_be_open=True)
        sizes = part_sizes(upload.bytes, upload.part_bytes)
        for number in numbers:
            if not 0 < number <= len(sizes):
                raise InvalidInputError("upload_part_unknown", number=number, parts=len(sizes))
        return PartUrls(urls=self._urls(upload, sizes, numbers), urls_expire_at=self._expiry())

    def complete(
        self,
        principal: Principal,
        upload_id: str,
        test_upload_id: str | None = None,
        hashes: Sequence[str | None] = (None, None),
    ) -> str:
        """Join the parts and queue the job that takes the file in; its id. Asked again, the same job's.

        Raises: NotFoundError; ConflictError for missing parts; LimitedError.
        """
        project_id = principal.project_id
        train = self._used(project_id, upload_id)
        if train.job_id is not None:
            return train.job_id
        uploads = [train]
        if test_upload_id is not None:
            if test_upload_id == upload_id:
                reason = "it is the upload of the train split itself"
                raise InvalidInputError("invalid_parameter", name="test_upload_id", value=upload_id, reason=reason)
            uploads.append(self._used(project_id, test_upload_id, must_be_open=True))
        for upload in uploads:
            self._join(upload)
        with self.sessions.begin() as session:
            locked = [_locked(session, project_id, upload.id) for upload in uploads]
            if locked[0].job_id is not None:
                return locked[0].job_id
            if any(upload.status != "open" for upload in locked):
                raise NotFoundError("upload_not_found", upload_id=upload_id)
            for upload, sha256 in zip(locked, hashes, strict=False):
                upload.sha256 = sha256 or upload.sha256
            return imports.queue(session, principal, locked, self.bounds.bytes)

    def abort(self, project_id: str, upload_id: str) -> None:
        """Drop an open upload with all that came of it.

        Raises: NotFoundError; ConflictError where a job has it.
        """
        with self.sessions.begin() as session:
            upload = _locked(session, project_id, upload_id)
            if upload.job_id is not None:
                raise ConflictError("upload_taken", upload_id=upload_id, job_id=upload.job_id)
            upload.status = "aborted"
        self.storage.drop(upload.key, upload.storage_id)
        with self.sessions.begin() as session:
            session.execute(
                sa.update(Upload).where(Upload.id == upload_id).values(cleared_at=sa.func.clock_timestamp())
            )

    def _used(self, project_id: str, upload_id: str, *, must_be_open: bool = False) -> Upload:
        """An upload that somebody cares for: it does not expire soon."""
        with self.sessions.begin() as session:
            upload: Upload | None = session.scalar(
                sa.update(Upload)
                .where(Upload.id == upload_id, Upload.project_id == project_id)
                .values(last_used_at=sa.func.clock_timestamp())
                .returning(Upload)
            )
        if upload is None or upload.status == "aborted" or (must_be_open and upload.status != "open"):
            raise NotFoundError("upload_not_found", upload_id=upload_id)
        return upload

    def _admit(self, session: Session, principal: Principal, new: NewUpload) -> None:
        project_id = principal.project_id
        if new.options.dataset_id is not None:
            datasets.get(session, project_id, new.options.dataset_id)
        quotas.require_room(session, project_id, new.bytes)
        is_open = (Upload.project_id == project_id, Upload.status == "open")
        num_open = session.scalar(sa.select(sa.func.count()).select_from(Upload).where(*is_open)) or 0
        if num_open >= self.bounds.num_open:
            limit = self.bounds.num_open
            raise LimitedError("uploads_open_limit", open=num_open, limit=limit, retry_after_s=_SOON_S)

    def _join(self, upload: Upload) -> None:
        assert upload.storage_id is not None
        parts = self.storage.parts(upload.key, upload.storage_id)
        if parts is None:  # joined by a request whose answer was lost, or gone
            if self.storage.size(upload.key) == upload.bytes:
                return
            raise NotFoundError("upload_lost", name=upload.name)
        good, missing = compare_parts(parts, part_sizes(upload.bytes, upload.part_bytes))
        if missing:
            num_parts = len(good) + len(missing)
            raise ConflictError("upload_incomplete", missing=len(missing), parts=num_parts, first=missing[0])
        self.storage.complete(upload.key, upload.storage_id, good)

    def _shown(self, upload: Upload, *, with_urls: bool = True) -> OpenUploadView:
        sizes = part_sizes(upload.bytes, upload.part_bytes)
        parts: list[Part] | None = []
        if upload.status == "open" and upload.storage_id is not None:
            parts = self.storage.parts(upload.key, upload.storage_id)
        good, missing = compare_parts(parts or [], sizes)
        if upload.status != "open" or parts is None:
            missing = []
        return OpenUploadView(
            **view(upload).model_dump(),
            stored=[StoredPart(number=part.number, bytes=part.bytes) for part in good],
            missing=missing,
            urls=self._urls(upload, sizes, missing[:_FIRST_URLS] if with_urls else []),
            urls_expire_at=self._expiry() if missing and with_urls else None,
        )

    def _urls(self, upload: Upload, sizes: Sequence[int], numbers: Sequence[int]) -> list[PartUrl]:
        if not numbers:
            return []
        assert upload.storage_id is not None
        wanted = {number: sizes[number - 1] for number in numbers}
        urls = self.storage.signed(upload.key, upload.storage_id, wanted, self.bounds.url_s)
        return [PartUrl(number=number, bytes=wanted[number], url=url) for number, url in urls.items()]

    def _expiry(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.bounds.url_s)


def page(
    session: Session, project_id: str, limit: int, cursor: str | None
) -> tuple[list[DirectUploadView], str | None]:
    """The project's open uploads, newest first, and the cursor to go on from."""
    query = sa.select(Upload).where(Upload.project_id == project_id, Upload.status == "open")
    rows, more = paging.page(session, query, Upload.id, "upl", limit, cursor)
    return [view(row[0]) for row in rows], more


def view(upload: Upload) -> DirectUploadView:
    """An upload as the API shows it."""
    return DirectUploadView.model_validate(
        {
            "id": upload.id,
            "filename": upload.name,
            "bytes": upload.bytes,
            "part_bytes": upload.part_bytes,
            "num_parts": len(part_sizes(upload.bytes, upload.part_bytes)),
            "status": upload.status,
            "job_id": upload.job_id,
            "created_at": upload.created_at,
        }
    )


def _same(session: Session, principal: Principal, new: NewUpload) -> Upload | None:
    """The open upload of the same file by the same user; what is to become of it is what was said last."""
    if new.fingerprint is None:
        return None
    upload = session.scalar(
        sa.select(Upload)
        .where(Upload.project_id == principal.project_id, Upload.created_by == principal.user_id)
        .where(Upload.status == "open", Upload.fingerprint == new.fingerprint)
        .where(Upload.name == new.filename, Upload.bytes == new.bytes)
        .order_by(Upload.id.desc())
        .limit(1)
        .with_for_update()
    )
    if upload is not None:
        upload.options = new.options.as_json()
        upload.sha256 = new.sha256
        upload.last_used_at = sa.func.clock_timestamp()
        session.flush()
        session.refresh(upload)
    return upload


def _insert(
    session: Session, principal: Principal, new: NewUpload, key: str, storage_id: str, part_bytes: int
) -> Upload:
    upload = Upload(
        id=new_id("upl"),
        project_id=principal.project_id,
        created_by=principal.user_id,
        purpose="dataset",
        name=new.filename,
        bytes=new.bytes,
        part_bytes=part_bytes,
        sha256=new.sha256,
        fingerprint=new.fingerprint,
        options=new.options.as_json(),
        key=key,
        storage_id=storage_id,
    )
    session.add(upload)
    session.flush()
    session.refresh(upload)
    return upload


def _locked(session: Session, project_id: str, upload_id: str) -> Upload:
    upload = session.scalar(
        sa.select(Upload).where(Upload.id == upload_id, Upload.project_id == project_id).with_for_update()
    )
    if upload is None or upload.status == "aborted":
        raise NotFoundError("upload_not_found", upload_id=upload_id)
    return upload
