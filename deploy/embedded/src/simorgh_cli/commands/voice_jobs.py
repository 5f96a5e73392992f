"""What commands that wait for voice jobs do alike: follow one to its end, and say why there is nothing."""

import shlex
from collections.abc import Callable, Sequence
from typing import Any

from simorgh_cli.api import voice
from simorgh_cli.api.connection import Connection
from simorgh_cli.api.errors import in_our_words
from simorgh_cli.terminal.hearing import following
from simorgh_cli.terminal.output import note
from simorgh_cli.terminal.text import printable
from simorgh_shared.domain.errors import ConflictError
from simorgh_shared.domain.jobs import JobStatus


def tell_of_job(job_id: str) -> None:
    """Say that it takes long."""
    note(f"This takes a while: job {job_id}. Ctrl-C leaves it alone.")


def tell_left_alone(command: str, job_id: str, output: str | None, more: Sequence[str] = ()) -> None:
    """Say that it goes on, and how to get what it makes: written as it was asked for."""
    words = ["simorgh", command, "--job", job_id, *more, *(["-o", output] if output is not None else [])]
    asked = " ".join(shlex.quote(printable(word)) for word in words)
    note(f"Left job {job_id} alone: it goes on. Get it with: {asked}")


def tell_nothing_goes_on() -> None:
    """Say that whoever left before there was a job has left nothing behind."""
    note("Stopped before there was a job: nothing goes on, and no file was written.")


def finished(
    connection: Connection,
    job_id: str,
    what: str,
    shown: Callable[[dict[str, Any]], dict[str, Any]] = lambda job: job,
) -> dict[str, Any]:
    """The job once it has succeeded; `shown` makes of it what the bar shows.

    Raises: ConflictError with why it has not, RefusedError, LostError.
    """
    with following(what) as show:
        job = voice.ended(connection, job_id, lambda now: show(shown(now)))
    if job["status"] == JobStatus.SUCCEEDED:
        return job
    error = job.get("error") or {}
    if error.get("message"):
        sentence = in_our_words(str(error.get("code", "")), str(error["message"]))
        raise ConflictError("api_refused", reason=printable(sentence))
    raise ConflictError("voice_job_ended", job_id=job_id, status=job["status"])
