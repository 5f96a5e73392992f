"""Owns the calls about hearing and speaking: a file up, a text or a job back; a text up, audio or a job back."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from simorgh_cli.api.connection import Connection, quoted
from simorgh_cli.api.errors import LostError, RefusedError, body_of
from simorgh_cli.api.files import CountedFile, Moved
from simorgh_shared.domain.errors import AppError
from simorgh_shared.domain.jobs import RESTING, JobStatus

_CHECK_S = 600.0  # after the last byte the server stores the file, and waits a while for the text
_SILENCE_S = 600.0  # between two sentences, where a model is loaded first
_ASK_EVERY_S = 1.0
_CHUNK_BYTES = 64 << 10


def transcribe(
    connection: Connection, path: Path, fields: Mapping[str, Any], moved: Moved = lambda _bytes: None
) -> tuple[str, bool]:
    """Send a file; the id of its job, and whether that has ended already."""
    with ExitStack() as stack:

        def form() -> dict[str, Any]:
            file = stack.enter_context(CountedFile(path, moved))
            return {"files": {"file": (path.name, file, "application/octet-stream")}, "data": dict(fields)}

        with connection.opened("POST", "/api/stt/transcribe", form, silence_s=_CHECK_S) as answer:
            answer.read()
            data = body_of(answer)["data"]
            has_ended = answer.status_code != httpx.codes.ACCEPTED
            return str(data["job_id"] if has_ended else data["id"]), has_ended


def transcript(connection: Connection, job_id: str, form: str) -> str:
    """The text of a job that has ended, in a form that is no JSON."""
    with connection.opened("GET", _job(job_id), lambda: {"params": {"format": form}}) as answer:
        return answer.read().decode()


def detailed_transcript(connection: Connection, job_id: str) -> dict[str, Any]:
    """The same with its segments, and its words where they were asked for."""
    data: dict[str, Any] = connection.get(_job(job_id), format="verbose_json")["data"]["transcript"]
    return data


@contextmanager
def spoken(connection: Connection, body: Mapping[str, Any]) -> Iterator[Iterator[bytes] | str]:
    """The audio of a text as it is made; the id of its job where that takes long.

    Raises: LostError, also from within, where it breaks off.
    """
    asked = {"json": dict(body)}
    with connection.opened("POST", "/api/tts/synthesize", lambda: asked, silence_s=_SILENCE_S) as answer:
        if answer.status_code == httpx.codes.ACCEPTED:
            answer.read()
            yield str(body_of(answer)["data"]["id"])
        else:
            yield answer.iter_bytes(_CHUNK_BYTES)


def speech_job(connection: Connection, job_id: str) -> dict[str, Any]:
    """A job that speaks, with what it was asked for."""
    data: dict[str, Any] = connection.get(f"/api/tts/jobs/{quoted(job_id)}")["data"]["job"]
    return data


@contextmanager
def audio(connection: Connection, job_id: str) -> Iterator[Iterator[bytes]]:
    """The finished file of a job that speaks."""
    with connection.opened("GET", f"/api/tts/jobs/{quoted(job_id)}/audio", dict, silence_s=_SILENCE_S) as answer:
        yield answer.iter_bytes(_CHUNK_BYTES)


def ended(
    connection: Connection, job_id: str, show: Callable[[dict[str, Any]], None], give_up_s: float = 600.0
) -> dict[str, Any]:
    """A job when it has ended or rests; `show` is given it as it goes. What breaks meanwhile is asked again.

    Raises: LostError, RefusedError when nothing answers for too long.
    """
    lost_at = None
    while True:
        try:
            job: dict[str, Any] = connection.get(f"/api/jobs/{quoted(job_id)}")["data"]
        except (LostError, RefusedError) as error:
            lost_at = lost_at or time.monotonic()
            if not _may_pass(error) or time.monotonic() - lost_at > give_up_s:
                raise
        else:
            lost_at = None
            show(job)
            status = JobStatus(job["status"])
            if status.is_terminal or status in RESTING:
                return job
        time.sleep(_ASK_EVERY_S)


def _may_pass(error: AppError) -> bool:
    return error.may_pass if isinstance(error, RefusedError) else True


def _job(job_id: str) -> str:
    return f"/api/stt/jobs/{quoted(job_id)}"
