"""Models compared by what they hear in an audio set (R-VOICE-5)."""

from urllib.parse import quote

from fastapi.responses import HTMLResponse, StreamingResponse

from simorgh_api import pages
from simorgh_api.deps import Blobs, DbSession, Notify, Reader, Sessions, Writer
from simorgh_api.pages.evaluation import page
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import jobs
from simorgh_api.usecases.voice import evaluations
from simorgh_api.voice_jobs import Voices
from simorgh_shared.queue.channels import NOTIFY_JOBS
from simorgh_shared.schemas.envelope import Answer
from simorgh_shared.schemas.evaluation import EvaluationBody, EvaluationView
from simorgh_shared.schemas.jobs import JobView

router = native_router("/stt/evaluations", "voice")


@router.post("", operation_id="evaluate_speech", status_code=202)
def evaluate(
    session: DbSession, principal: Writer, notify: Notify, voices: Voices, body: EvaluationBody
) -> Answer[JobView]:
    """Have models hear the clips of an audio set, and score what they heard against its texts.

    The job has a job of its own for each model. Word and character error rates come plain, where every difference is
    an error, and normalised, where ZWNJ, ye and kaf, digits, diacritics, punctuation and case are none.
    """
    queued = evaluations.queue(session, principal, body, voices.bounds)
    notify(NOTIFY_JOBS, queued.queue)
    return Answer(data=jobs.job(session, principal.project_id, queued.job_id))


@router.get("/{job_id}", operation_id="get_speech_evaluation")
def get_evaluation(sessions: Sessions, principal: Reader, blobs: Blobs, job_id: str) -> Answer[EvaluationView]:
    """How far each model is, and the report once all have ended: totals, and the samples with the most errors."""
    found = evaluations.find(sessions, principal.project_id, job_id)
    return Answer(data=evaluations.view(sessions, blobs, found))


@router.get(
    "/{job_id}/report",
    operation_id="get_speech_evaluation_report",
    response_class=HTMLResponse,
    responses={200: {"description": "A page that stands by itself: no script, nothing from elsewhere."}},
)
def get_report(sessions: Sessions, principal: Reader, blobs: Blobs, job_id: str) -> HTMLResponse:
    """The report as one page for people."""
    found = evaluations.find(sessions, principal.project_id, job_id)
    return HTMLResponse(page(evaluations.require_report(sessions, blobs, found)), headers=pages.HEADERS)


@router.get(
    "/{job_id}/samples",
    operation_id="download_speech_evaluation_samples",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A `SampleView` in each line, in the order of the rows.",
            "content": {"application/jsonl": {}},
        }
    },
)
def get_samples(sessions: Sessions, principal: Reader, blobs: Blobs, job_id: str) -> StreamingResponse:
    """All samples with their scores and alignments, as JSON Lines."""
    found = evaluations.find(sessions, principal.project_id, job_id)
    num_bytes, chunks = evaluations.samples(sessions, blobs, found)
    name = quote(f"{job_id}-samples.jsonl", safe="")
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{name}", "content-length": str(num_bytes)}
    return StreamingResponse(chunks, media_type="application/jsonl", headers=headers)
