"""A worker as a program: opens what it works with, serves its queues by Celery, and ends in good order."""

import argparse
import os
import signal
import socket
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import worker_shutting_down
from celery.worker import state
from prometheus_client import REGISTRY
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared import exposition, health, tracing
from simorgh_shared.db.engine import make_engine, make_sessions
from simorgh_shared.domain.jobs import Queue
from simorgh_shared.monitoring.sampler import Sampled, Sampler
from simorgh_shared.queue.celery_app import make_app
from simorgh_shared.queue.publishing import Publisher
from simorgh_shared.spawning import forbid_inspection
from simorgh_shared.storage.blobs import BlobStore
from simorgh_shared.storage.incoming import IncomingStore
from simorgh_shared.storage.s3 import make_client
from simorgh_shared.worker import gpus, tasks
from simorgh_shared.worker.capacity import Device, Devices, Slots, detect_devices
from simorgh_shared.worker.draining import Draining
from simorgh_shared.worker.folder import claim_folder
from simorgh_shared.worker.gpus import GpuCollector
from simorgh_shared.worker.kinds import JobKind
from simorgh_shared.worker.ledger import Ledger
from simorgh_shared.worker.runner import Runner
from simorgh_shared.worker.settings import WorkerSettings
from simorgh_shared.worker.worker import OnIdle, Worker


@dataclass(frozen=True)
class Resources:
    """What a worker and its kinds of jobs work with."""

    settings: WorkerSettings
    program: str
    name: str
    folder: Path
    """For the files of attempts; deleted by the next worker should this one be killed."""
    engine: sa.Engine
    sessions: sessionmaker[Session]
    redis: "Redis"
    store: BlobStore
    incoming: IncomingStore


def open_resources(program: str, settings: WorkerSettings, num_slots: int) -> Resources:
    """Connect to what the settings name. Nothing is asked of it yet."""
    forbid_inspection()
    tracing.configure_tracing(program.removeprefix("simorgh-"))
    exposition.introduce(program.removeprefix("simorgh-"))
    exposition.show_folder("work", settings.work_dir)
    warnings.simplefilter("ignore", SecurityWarning)  # about pickles as root: our messages are JSON and empty
    redis_url = settings.redis_url.get_secret_value()
    engine = make_engine(settings.database_url.get_secret_value(), pool_size=2 + 3 * num_slots, name=program)
    client = make_client(settings)
    name = settings.worker_name or f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
    return Resources(
        settings=settings,
        program=program.removeprefix("simorgh-"),
        name=name,
        folder=claim_folder(settings.work_dir, name),
        engine=engine,
        sessions=make_sessions(engine),
        redis=Redis.from_url(redis_url, socket_timeout=5, socket_connect_timeout=2, health_check_interval=10),
        store=BlobStore(client, settings.s3_bucket),
        incoming=IncomingStore(client, client, settings.s3_bucket),
    )


def serve(
    resources: Resources,
    queues: Sequence[str],
    slots: Slots,
    devices: Devices,
    kinds: Mapping[str, JobKind],
    idle_exit_s: float | None = None,
) -> int:
    """Serve the queues until told to end, then let the running jobs leave; the exit code.

    idle_exit_s: end, with exit code 0, once there was no job for so long.
    """
    settings = resources.settings
    ledger = Ledger(resources.sessions, Publisher(resources.redis), settings)
    runner = Runner(ledger, kinds, Draining(settings.drain_grace_s), settings)
    worker = Worker(resources.name, queues, slots, devices, resources.sessions, runner, settings)

    def end(*_: object) -> None:
        worker.drain()
        state.should_stop = os.EX_OK  # what Celery's own handler of SIGTERM sets; its loop looks at it once a second

    app = make_app(settings.redis_url.get_secret_value())
    tasks.register(app, worker)
    worker_shutting_down.connect(lambda **_: worker.drain(), weak=False)
    REGISTRY.register(GpuCollector([device.id for device in devices.all]))
    if settings.metrics_port is not None:
        checks = health.service_checks(resources.engine, resources.store, resources.redis)
        checks["claims"] = lambda: health.OK if worker.is_listed else "is not on the list of workers yet"
        health.serve_health(settings.metrics_host, settings.metrics_port, checks)
    signal.signal(signal.SIGTERM, end)  # Celery puts its own in place when it has started; jobs are claimed before
    worker.start(resources.redis, None if idle_exit_s is None else OnIdle(idle_exit_s, end))
    sampler = Sampler(resources.sessions, settings, _sampled(resources))
    sampler.start()
    exit_code = _answer_rings(app, worker, queues, slots.num_slots, settings.log_level)
    worker.drain()
    worker.join()
    worker.stop()
    sampler.stop()
    tracing.flush()
    return exit_code


def _sampled(resources: Resources) -> Sampled:
    """All GPUs of the machine, those that another worker uses too: they are the node's."""
    return Sampled(resources.program, resources.folder, resources.name, gpus.figures)


def own_devices(settings: WorkerSettings) -> Devices:
    """The devices that the settings name, or else all that this machine has."""
    if settings.devices is None:
        return Devices(detect_devices(os.environ))
    return Devices([Device(name, "", 0) for name in settings.devices])


def add_idle_option(parser: argparse.ArgumentParser) -> None:
    """`--exit-when-idle`, as every worker has it."""
    parser.add_argument(
        "--exit-when-idle",
        type=_seconds,
        metavar="SECONDS",
        help="end, with exit code 0, after so long without a job (default: serve until told to end)",
    )


def _seconds(given: str) -> float:
    seconds = float(given)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be a number of seconds above 0")
    return seconds


def named_queues(given: str, served: Collection[Queue]) -> list[str]:
    """The queues of a command line, by commas.

    Raises: ValueError, with those that the program serves, for another.
    """
    queues = given.split(",")
    unknown = set(queues) - set(served)
    if unknown:
        raise ValueError(f"--queues: no {', '.join(sorted(unknown))} here; served are {', '.join(served)}")
    return queues


def _answer_rings(app: Celery, worker: Worker, queues: Sequence[str], num_slots: int, log_level: str) -> int:
    celery_worker = app.Worker(
        queues=list(queues),
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
