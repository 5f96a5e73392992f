"""The Celery application: JSON, no results, messages that only ring (architecture, section 5)."""

from celery import Celery
from kombu import Exchange
from kombu import Queue as KombuQueue

from simorgh_shared.domain.jobs import Queue


def make_app(redis_url: str) -> Celery:
    """An application on this broker. Losing or repeating one of its messages costs latency, never a job."""
    app = Celery("simorgh", broker=redis_url)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        result_backend=None,
        task_acks_late=False,
        task_queues=[KombuQueue(queue, Exchange("simorgh"), routing_key=queue) for queue in Queue],
        task_create_missing_queues=False,
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_transport_options={
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "queue_order_strategy": "round_robin",
        },
    )
    return app
