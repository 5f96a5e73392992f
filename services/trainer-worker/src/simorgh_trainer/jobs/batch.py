"""The batch job: checks the file, has each line answered once, and makes files of the answers (R-CHAT-6).

It runs in the worker's process, which only waits for the inference server. Answers are durable one by one: an attempt
goes on where the one before it ended.
"""

import asyncio
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import Blob, File, Job
from simorgh_shared.db.repositories import models
from simorgh_shared.domain.errors import AppError, NotFoundError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import DesiredState, Outcome
from simorgh_shared.queue import batches, endings
from simorgh_shared.queue.batches import LineAnswer
from simorgh_shared.queue.leases import LeaseLostError
from simorgh_shared.storage.blobs import ArtifactLostError, BlobStore, StoredBlob
from simorgh_shared.worker.attempt import until_stored
from simorgh_shared.worker.kinds import Claimed
from simorgh_trainer.batches import lines
from simorgh_trainer.batches.asking import Questions, Server, ask
from simorgh_trainer.batches.lines import answer_text

_PAGE = 200
_EXPIRED = {"code": "batch_expired", "message": "The batch's time was over before this request was answered."}
_FILES = {False: ("output_file_id", "output.jsonl"), True: ("error_file_id", "errors.jsonl")}
"""By whether they hold errors: where the job's result names them, and what they are called."""


@dataclass(frozen=True)
class Batch:
    """The kind of job."""

    store: BlobStore
    work_dir: Path
    server: Server

    def run(self, claimed: Claimed) -> None:
        """Run one attempt."""
        folder = self.work_dir / claimed.lease.job_id / str(claimed.lease.attempt)
        folder.mkdir(parents=True)
        try:
            BatchAttempt(self, claimed, folder).run()
        except _LeftError:
            lease, outcome = claimed.lease, Outcome.DRAINED if claimed.draining.is_set() else Outcome.LEFT
            claimed.ledger.finish(lambda session: endings.leave(session, lease, outcome))
        finally:
            shutil.rmtree(folder.parent, ignore_errors=True)


class _LeftError(Exception):
    """Somebody wants the attempt to end."""


class BatchAttempt:
    """One attempt."""

    def __init__(self, place: Batch, claimed: Claimed, folder: Path) -> None:
        self._place = place
        self._ledger, self._heart, self._draining = claimed.ledger, claimed.heart, claimed.draining
        self._claimed = claimed
        self._lease = claimed.lease
        self._folder = folder
        self._input = folder / "input.jsonl"
        self._url = str(self._lease.spec["endpoint"])
        self._seconds_left = float(self._lease.spec["expires_at"]) - time.time()
        self._ends_at = time.monotonic() + self._seconds_left

    def run(self) -> None:
        """Do it, as far as it is wanted."""
        with self._ledger.sessions() as session:
            blob = _input_blob(session, self._lease.project_id, str(self._lease.spec["input_file_id"]))
            progress = batches.progress(session, self._lease.job_id)
        try:
            self._place.store.fetch(blob, self._input)
        except ArtifactLostError as error:
            self._ledger.note_lost(error)
            raise AppError("file_gone", file_id=str(self._lease.spec["input_file_id"])) from error
        if "models" not in progress:
            checked = self._check()
            if checked is None:
                return
            progress = checked
        self._ask(progress["models"])
        self._look()
        self._finish()

    def _check(self) -> dict[str, Any] | None:
        """Look through the file; None where that ended the job."""
        found = lines.check(self._input, self._url, self._resolve, self._look)
        if found.num_errors:
            params = {"num_errors": found.num_errors, "first": found.errors[0]["message"], "lines": found.errors}
            self._ledger.fail(self._lease, "batch_unfit", params)
            return None
        progress = {"total": found.total, "models": found.models}
        self._enter("in_progress", progress)
        return progress

    def _resolve(self, name: str) -> str | None:
        try:
            with self._ledger.sessions() as session:
                return str(models.resolve(session, self._lease.project_id, name)[1].id)
        except NotFoundError:
            return None

    def _ask(self, versions: Mapping[str, str]) -> None:
        with self._ledger.sessions() as session:
            answered = batches.answered(session, self._lease.job_id)
        job_id = self._lease.job_id
        questions = Questions(job_id, self._url, lines.read(self._input, self._url), versions, answered)
        asyncio.run(ask(self._place.server, questions, lambda answer: self._keep([answer]), self._is_over))

    def _is_over(self) -> bool:
        return self._is_wanted_otherwise() or self._is_late()

    def _is_late(self) -> bool:
        return time.monotonic() > self._ends_at

    def _is_wanted_otherwise(self) -> bool:
        wishes = self._heart.wishes.desired_state
        return self._heart.lost or self._draining.is_set() or wishes is not DesiredState.RUN

    def _look(self) -> None:
        """Raises: LeaseLostError or _LeftError where the attempt is to end."""
        if self._heart.lost:
            raise LeaseLostError(self._lease.job_id)
        if self._is_wanted_otherwise():
            raise _LeftError

    def _keep(self, answers: list[LineAnswer]) -> None:
        self._ledger.persist(lambda session: batches.keep(session, self._lease, answers), self._heart)

    def _enter(self, phase: str, progress: Mapping[str, Any]) -> None:
        event = self._ledger.persist(lambda session: batches.enter(session, self._lease, phase, progress), self._heart)
        self._ledger.publish([event])

    def _finish(self) -> None:
        num_expired = self._expire()
        self._enter("finalizing", {})
        counts = self._write()
        stored = {is_error: self._stored(name) for is_error, (_, name) in _FILES.items() if counts[is_error]}
        result = {"completed": counts[False], "failed": counts[True], "expired": num_expired}
        lease = self._lease
        self._ledger.finish(
            lambda session: endings.succeed(
                session, lease, result, lambda session: _keep_files(session, lease.job_id, stored)
            )
        )

    def _expire(self) -> int:
        """Write down that no time was left for what has no answer; how many lines that are."""
        with self._ledger.sessions() as session:
            answered = batches.answered(session, self._lease.job_id)
        late: list[LineAnswer] = []
        num_late = 0
        for line in lines.read(self._input, self._url):
            if line.number in answered:
                continue
            num_late += 1
            late.append(LineAnswer(line.number, True, answer_text(self._lease.job_id, line, None, _EXPIRED)))
            if len(late) == _PAGE:
                self._keep(late)
                late = []
        if late:
            self._keep(late)
        return num_late

    def _write(self) -> dict[bool, int]:
        """Write the files; how many lines each has."""
        counts = {False: 0, True: 0}
        paths = {is_error: self._folder / name for is_error, (_, name) in _FILES.items()}
        with paths[False].open("w", encoding="utf-8") as output, paths[True].open("w", encoding="utf-8") as errors:
            for answer in self._answers():
                (errors if answer.is_error else output).write(answer.text + "\n")
                counts[answer.is_error] += 1
        return counts

    def _answers(self) -> Iterator[LineAnswer]:
        after = 0
        while True:
            self._look()
            with self._ledger.sessions() as session:
                page = batches.page(session, self._lease.job_id, after, _PAGE)
            if not page:
                return
            yield from page
            after = page[-1].line

    def _stored(self, name: str) -> StoredBlob:
        store, ledger = self._place.store, self._ledger
        return until_stored(lambda: store.put(ledger.sessions, self._folder / name), self._claimed)


def _input_blob(session: Session, project_id: str, file_id: str) -> StoredBlob:
    """Raises: NotFoundError."""
    row = session.execute(
        sa.select(Blob.sha256, Blob.bytes, Blob.key)
        .join(File, File.sha256 == Blob.sha256)
        .where(File.id == file_id, File.project_id == project_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError("file_not_found", file_id=file_id)
    return StoredBlob(row.sha256, row.bytes, row.key)


def _keep_files(session: Session, job_id: str, stored: Mapping[bool, StoredBlob]) -> dict[str, Any]:
    """Insert the files; what the result says of them."""
    job = session.get_one(Job, job_id)
    ids = {}
    for is_error, blob in stored.items():
        member, name = _FILES[is_error]
        ids[member] = new_id("file")
        session.add(
            File(
                id=ids[member],
                project_id=job.project_id,
                purpose="batch_output",
                name=f"{job_id}_{name}",
                sha256=blob.sha256,
                bytes=blob.bytes,
                created_by=job.created_by,
            )
        )
    return ids
