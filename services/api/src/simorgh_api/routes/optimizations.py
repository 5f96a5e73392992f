"""Other forms of a model, measured before and after (R-OPT-1, R-OPT-2)."""

from fastapi.responses import HTMLResponse

from simorgh_api import pages
from simorgh_api.deps import Blobs, Cursor, DbSession, Limit, Notify, Reader, Sessions, Writer
from simorgh_api.pages.optimization import page
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import jobs, optimizing
from simorgh_shared.domain.jobs import JobStatus, JobType
from simorgh_shared.queue.channels import NOTIFY_JOBS
from simorgh_shared.schemas.envelope import Answer, Page
from simorgh_shared.schemas.optimization import OptimizationBody, OptimizationView

router = native_router("/optimizations", "optimizations")


@router.post("", operation_id="optimize_model", status_code=202)
def optimize(
    session: DbSession, sessions: Sessions, blobs: Blobs, principal: Writer, notify: Notify, body: OptimizationBody
) -> Answer[OptimizationView]:
    """Make another form of a model: merged, pruned, OpenVINO, ONNX or GGUF. A job makes and measures it.

    Both forms are measured on the same rows. A version that misses the gate is kept, but becomes nobody's champion.
    """
    source = optimizing.find_fit_source(sessions, blobs, principal.project_id, body)
    job_id = optimizing.queue(session, principal, source, body)
    notify(NOTIFY_JOBS, optimizing.QUEUE)
    return Answer(data=optimizing.view(session, principal.project_id, job_id))


@router.get("", operation_id="list_optimizations")
def list_optimizations(
    session: DbSession, principal: Reader, status: JobStatus | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[OptimizationView]:
    """The project's optimisations, newest first."""
    wanted = jobs.JobFilter(type=JobType.OPTIMIZE, status=status)
    found, more = jobs.jobs(session, principal.project_id, wanted, limit, cursor)
    return Page(data=[optimizing.view_of(job) for job in found], next_cursor=more)


@router.get("/{job_id}", operation_id="get_optimization")
def get_optimization(session: DbSession, principal: Reader, job_id: str) -> Answer[OptimizationView]:
    """How far it is; once it has succeeded, the version that it made and the measures before and after."""
    return Answer(data=optimizing.view(session, principal.project_id, job_id))


@router.post("/{job_id}/check", operation_id="check_optimization", status_code=202)
def check_optimization(session: DbSession, principal: Writer, notify: Notify, job_id: str) -> Answer[OptimizationView]:
    """Measure both forms again, on the same rows: a job whose `differences` stand beside what the report says.

    Losses, perplexities, bytes and answers repeat; times and memory are those of the machine at that hour.
    """
    check_id = optimizing.queue_check(session, principal, job_id)
    notify(NOTIFY_JOBS, optimizing.QUEUE)
    return Answer(data=optimizing.view(session, principal.project_id, check_id))


@router.get(
    "/{job_id}/report",
    operation_id="get_optimization_report",
    response_class=HTMLResponse,
    responses={200: {"description": "A page that stands by itself: no script, nothing from elsewhere."}},
)
def get_report(session: DbSession, principal: Reader, job_id: str) -> HTMLResponse:
    """The report as one page for people."""
    found = optimizing.view(session, principal.project_id, job_id)
    return HTMLResponse(page(found, optimizing.require_report(found)), headers=pages.HEADERS)
