"""Entry of `simorgh-trainer-worker`: a Celery worker that supervises children and never imports torch."""

import argparse
import os
import socket
import sys
import warnings

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import worker_shutting_down
from redis import Redis

from simorgh_shared import health
from simorgh_shared.db.engine import make_engine, make_sessions
from simorgh_shared.domain.jobs import Queue
from simorgh_shared.logging import configure_logging
from simorgh_shared.queue.celery_app import make_app
from simorgh_shared.queue.publishing import Publisher
from simorgh_shared.storage.blobs import BlobStore
from simorgh_shared.storage.incoming import IncomingStore
from simorgh_shared.storage.s3 import make_client
from simorgh_shared.worker import tasks
from simorgh_shared.worker.capacity import Device, Devices, Slots, detect_devices
from simorgh_shared.worker.ledger import Ledger
from simorgh_shared.worker.process import LocalLauncher, forbid_inspection
from simorgh_shared.worker.runner import Runner
from simorgh_shared.worker.worker import Worker, claim_folder
from simorgh_trainer.jobs.kinds import job_kinds
from simorgh_trainer.settings import TrainerSettings


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
    redis_url = settings.redis_url.get_secret_value()
    redis = Redis.from_url(redis_url, socket_timeout=5, socket_connect_timeout=2, health_check_interval=10)
    engine = make_engine(
        settings.database_url.get_secret_value(), pool_size=2 + 3 * num_slots, name="simorgh-trainer-worker"
    )
    client = make_client(settings)
    store = BlobStore(client, settings.s3_bucket)
    incoming = IncomingStore(client, client, settings.s3_bucket)
    sessions = make_sessions(engine)
    name = settings.worker_name or f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
    launcher = LocalLauncher(claim_folder(settings.work_dir, name), store, incoming, sessions)
    runner = Runner(Ledger(sessions, Publisher(redis), settings), job_kinds(launcher))
    worker = Worker(name, arguments.queues.split(","), slots, devices, sessions, runner, settings)
    app = make_app(redis_url)
    tasks.register(app, worker)
    worker_shutting_down.connect(lambda **_: worker.drain(), weak=False)
    if settings.metrics_port is not None:
        checks = health.service_checks(engine, store, redis)
        health.serve_health(settings.metrics_host, settings.metrics_port, checks)
    worker.start(redis)
    exit_code = _serve(app, worker, arguments.queues, num_slots, settings.log_level)
    worker.drain()
    worker.join()
    worker.stop()
    sys.exit(exit_code)


def _serve(app: Celery, worker: Worker, queues: str, num_slots: int, log_level: str) -> int:
    """Answer rings until told to end."""
    celery_worker = app.Worker(
        queues=queues,
        concurrency=num_slots,
        pool="simorgh_shared.worker.pool:WakingThreadPool",
        hostname=f"{worker.name}@{socket.gethostname()}",
        loglevel=log_level.upper(),
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )
    celery_worker.start()
    return int(celery_worker.exitcode or 0)


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
