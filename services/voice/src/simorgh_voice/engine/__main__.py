"""Entry of the engine child: `python -m simorgh_voice.engine --socket PATH --lane short|long …`."""

import argparse
import contextlib
import os
import socket
import sys

from simorgh_shared.child.entry import die_with_parent
from simorgh_shared.domain.jobs import Lane
from simorgh_voice.engine.models import Models
from simorgh_voice.engine.wire import Wire


def main() -> int:
    """Serve the one worker that listens; end with it."""
    arguments = _arguments()
    die_with_parent()
    _stand_back(arguments.gives_way)
    # Imported here: numpy and the engines read the number of threads when they are loaded.
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    from simorgh_voice.engine.serving import Engine

    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(arguments.socket)
        wire = Wire(connection)
        models = Models(arguments.memory_bytes, wire.tell_models)
        engine = Engine(wire, models, lane=arguments.lane, device=arguments.device, threads=arguments.threads)
        wire.send({"ready": {"pid": os.getpid()}})
        engine.serve()
    return 0


def _stand_back(gives_way: bool) -> None:
    """One that gives way takes the processor that nobody else wants; any engine is the first to be sacrificed."""
    if gives_way:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("500")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simorgh_voice.engine", description=__doc__)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--lane", choices=[str(lane) for lane in Lane], required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--memory-bytes", type=int, required=True)
    parser.add_argument("--gives-way", action="store_true", help="run under SCHED_IDLE")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
