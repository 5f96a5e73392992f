"""Entry of `simorgh-voice`: a Celery worker that supervises warm engine children and loads none of what they load."""

import argparse
import sys

from simorgh_shared import allowance
from simorgh_shared.domain.jobs import Lane, Queue
from simorgh_shared.logging import configure_logging
from simorgh_shared.settings import settings_or_exit
from simorgh_shared.storage.folders import FolderCache
from simorgh_shared.worker.capacity import Devices, Slots
from simorgh_shared.worker.process import LocalLauncher
from simorgh_shared.worker.service import Resources, add_idle_option, named_queues, open_resources, own_devices, serve
from simorgh_voice.attempt import Workplace
from simorgh_voice.engines import EngineLimits, Engines
from simorgh_voice.jobs.kinds import job_kinds
from simorgh_voice.settings import VoiceSettings

_QUEUES = (Queue.VOICE_CPU, Queue.VOICE_GPU)
_SHARE_OF_MEMORY = 8  # two engines, and half of what they may take is for the work itself


def main() -> None:
    """Serve the named queues until told to end."""
    arguments = _arguments()
    settings = settings_or_exit(VoiceSettings, "simorgh-voice")
    configure_logging("voice", settings.log_level)
    devices = own_devices(settings) if Queue.VOICE_GPU in arguments.queues else Devices()
    slots = Slots({(Lane.SHORT,): arguments.short_slots, (Lane.LONG,): arguments.long_slots})
    resources = open_resources("simorgh-voice", settings, slots.num_slots)
    limits = EngineLimits(
        threads=settings.voice_threads or allowance.cores(),
        memory_bytes=settings.voice_memory_bytes or allowance.memory_bytes() // _SHARE_OF_MEMORY,
        devices=[device.id for device in devices.all],
        start_timeout_s=settings.engine_start_timeout_s,
        long_gives_way=settings.voice_long_gives_way,
    )
    engines = Engines(limits)
    launcher = LocalLauncher(resources.folder, resources.store, resources.incoming, resources.sessions)
    kinds = job_kinds(_workplace(resources, settings, engines), launcher)
    exit_code = serve(resources, arguments.queues, slots, devices, kinds, arguments.exit_when_idle)
    engines.close()
    sys.exit(exit_code)


def _workplace(resources: Resources, settings: VoiceSettings, engines: Engines) -> Workplace:
    settings.voice_cache_dir.mkdir(parents=True, exist_ok=True)
    folders = FolderCache(resources.store, settings.voice_cache_dir)
    return Workplace(resources.engine, resources.store, folders, engines, resources.folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="simorgh-voice", description="Hears and speaks: takes voice jobs from its queues."
    )
    known = ", ".join(_QUEUES)
    parser.add_argument("--queues", default=Queue.VOICE_CPU.value, help=f"queues to serve, by commas: {known}")
    parser.add_argument("--short-slots", type=int, default=1, help="short clips at a time (default: 1)")
    parser.add_argument("--long-slots", type=int, default=1, help="long files at a time (default: 1)")
    add_idle_option(parser)
    arguments = parser.parse_args()
    if min(arguments.short_slots, arguments.long_slots) < 0 or arguments.short_slots + arguments.long_slots == 0:
        parser.error("--short-slots and --long-slots must be 0 or more, and at least one of them 1")
    try:
        arguments.queues = named_queues(arguments.queues, _QUEUES)
    except ValueError as error:
        parser.error(str(error))
    return arguments


if __name__ == "__main__":
    main()
