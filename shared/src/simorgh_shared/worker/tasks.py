"""The Celery task: someone rang. It carries nothing; what there is to do stands in PostgreSQL."""

from celery import Celery

from simorgh_shared.queue.channels import RING_TASK
from simorgh_shared.worker.worker import Worker


def register(app: Celery, worker: Worker) -> None:
    """Answer rings by claiming until nothing is left."""

    @app.task(name=RING_TASK, ignore_result=True)  # type: ignore[untyped-decorator]
    def ring() -> None:
        worker.work()
