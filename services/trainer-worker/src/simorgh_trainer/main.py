"""Entry of `simorgh-trainer-worker`: a Celery worker that supervises children and never imports torch."""

import argparse
import sys

from simorgh_shared.domain.jobs import Lane, Queue
from simorgh_shared.logging import configure_logging
from simorgh_shared.settings import settings_or_exit
from simorgh_shared.worker.capacity import Slots
from simorgh_shared.worker.process import LocalLauncher
from simorgh_shared.worker.service import add_idle_option, named_queues, open_resources, own_devices, serve
from simorgh_trainer.batches.asking import Server
from simorgh_trainer.jobs.batch import Batch
from simorgh_trainer.jobs.kinds import job_kinds
from simorgh_trainer.settings import TrainerSettings

_QUEUES = tuple(queue for queue in Queue if queue not in (Queue.VOICE_CPU, Queue.VOICE_GPU))


def main() -> None:
    """Serve the named queues until told to end."""
    arguments = _arguments()
    settings = settings_or_exit(TrainerSettings, "simorgh-trainer-worker")
    configure_logging("trainer-worker", settings.log_level)
    devices = own_devices(settings)
    num_slots = arguments.concurrency or max(1, len(devices.all))
    slots = Slots({(Lane.LONG, Lane.SHORT): num_slots - arguments.short_slots, (Lane.SHORT,): arguments.short_slots})
    resources = open_resources("simorgh-trainer-worker", settings, num_slots)
    launcher = LocalLauncher(resources.folder, resources.store, resources.incoming, resources.sessions)
    key = settings.internal_key.get_secret_value() if settings.internal_key is not None else None
    server = Server(settings.inference_url, key, settings.batch_at_once)
    batch = Batch(resources.store, resources.folder, server)
    sys.exit(serve(resources, arguments.queues, slots, devices, job_kinds(launcher, batch), arguments.exit_when_idle))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="simorgh-trainer-worker", description="Takes jobs from its queues and runs each in a child process."
    )
    parser.add_argument("--queues", required=True, help=f"queues to serve, by commas: {', '.join(_QUEUES)}")
    parser.add_argument(
        "-c", "--concurrency", type=int, help="slots: how many jobs at a time (default: as many as it has GPUs, or 1)"
    )
    parser.add_argument(
        "--short-slots", type=int, default=0, help="so many of the slots take short work alone (default: 0)"
    )
    add_idle_option(parser)
    arguments = parser.parse_args()
    if arguments.concurrency is not None and arguments.concurrency < 1:
        parser.error("-c: at least one job at a time")
    if not 0 <= arguments.short_slots < (arguments.concurrency or 1):
        parser.error("--short-slots must leave at least one of the slots (-c) for long work")
    try:
        arguments.queues = named_queues(arguments.queues, _QUEUES)
    except ValueError as error:
        parser.error(str(error))
    return arguments


if __name__ == "__main__":
    main()
