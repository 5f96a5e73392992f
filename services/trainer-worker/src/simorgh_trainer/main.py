"""Entry of `simorgh-trainer-worker`: a Celery worker that supervises children and never imports torch."""

import argparse
import os
import socket
import sys
import threading
import warnings

from celery.platforms import SecurityWarning
from celery.signals import worker_shutting_down
from prometheus_client import start_http_server
from redis import Redis

from simorgh_shared.db.engine import make_engine, make_sessions
from simorgh_shared.domain.jobs import Queue
from simorgh_shared.logging import configure_logging
from simorgh_shared.queue.celery_app import make_app
from simorgh_shared.queue.publishing import Publisher
from simorgh_shared.storage.blobs import BlobStore
from simorgh_shared.storage.s3 import make_client
from simorgh_trainer import tasks
from simorgh_trainer.capacity import Device, Devices, Slots, detect_devices
from simorgh_trainer.process import LocalLauncher, forbid_inspection
from simorgh_trainer.runner import Runner
from simorgh_trainer.settings import TrainerSettings
from simorgh_trainer.worker import Worker, claim_folder


def main() -> None:
    """Serve the named queues until told to end."""
    arguments = _arguments()
    settings = TrainerSettings()
    configure_logging("trainer-worker", settings.log_level)
    forbid_inspection()
    warnings.simplefilter("ignore", SecurityWarning)  # about pickles as root: our messages are JSON and empty
    devices = _devices(settings)
    num_slots = arguments.concurrency or max(1, len(devices.all))
    slots = Slots(num_slots, arguments.short_slots)
    worker, redis = make_worker(settings, arguments.queues.split(","), slots, devices)
    app = make_app(settings.redis_url.get_secret_value())
    tasks.register(app, worker)
    worker_shutting_down.connect(lambda **_: worker.drain(), weak=False)
    if settings.metrics_port is not None:
        start_http_server(settings.metrics_port, settings.metrics_host)
    worker.start(redis)
    celery_worker = app.Worker(
        queues=arguments.queues,
        concurrency=num_slots,
        pool="simorgh_trainer.pool:WakingThreadPool",
        hostname=f"{worker.name}@{socket.gethostname()}",
        loglevel=settings.log_level.upper(),
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )
    celery_worker.start()
    worker.drain()
    worker.join()
    worker.stop()
    sys.exit(celery_worker.exitcode or 0)


def make_worker(settings: TrainerSettings, queues: list[str], slots: Slots, devices: Devices) -> tuple[Worker, "Redis"]:
    """Build a worker from its settings."""
    name = settings.worker_name or f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
    sessions = make_sessions(
        make_engine(
            settings.database_url.get_secret_value(), pool_size=2 + 3 * slots.num_slots, name="simorgh-trainer-worker"
        )
    )
    redis = Redis.from_url(
        settings.redis_url.get_secret_value(), socket_timeout=5, socket_connect_timeout=2, health_check_interval=10
    )
    store = BlobStore(make_client(settings), settings.s3_bucket)
    runner = Runner(
        sessions=sessions,
        launcher=LocalLauncher(claim_folder(settings.work_dir, name), store, sessions),
        publisher=Publisher(redis),
        times=settings,
        draining=threading.Event(),
        heartbeats={},
    )
    return Worker(name, queues, slots, devices, sessions, runner, settings), redis


def _devices(settings: TrainerSettings) -> Devices:
    if settings.devices is None:
        return Devices(detect_devices(os.environ))
    return Devices([Device(name, "", 0) for name in settings.devices])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simorgh-trainer-worker", description=__doc__)
    known = ", ".join(Queue)
    parser.add_argument("--queues", required=True, help=f"queues to serve, by commas: {known}")
    parser.add_argument(
        "-c", "--concurrency", type=int, help="slots: how many jobs at a time (default: as many as it has GPUs, or 1)"
    )
    parser.add_argument(
        "--short-slots", type=int, default=0, help="so many of the slots take short work alone (default: 0)"
    )
    arguments = parser.parse_args()
    if not 0 <= arguments.short_slots < (arguments.concurrency or 1):
        parser.error("--short-slots must leave at least one of the slots (-c) for long work")
    unknown = set(arguments.queues.split(",")) - set(Queue)
    if unknown:
        parser.error(f"unknown queue {', '.join(sorted(unknown))}; known are {known}")
    return arguments


if __name__ == "__main__":
    main()
