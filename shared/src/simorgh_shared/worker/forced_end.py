"""Ends a draining worker by force where its attempts do not end in time: what they hold is given back first.

Whatever an attempt waits for (a download, a frozen engine, a silent storage), this needs the database alone.
"""

import os
import threading
from collections.abc import Callable

import psutil
import structlog
from sqlalchemy.exc import DBAPIError

from simorgh_shared.domain.jobs import Outcome
from simorgh_shared.logging import cause
from simorgh_shared.queue import endings
from simorgh_shared.queue.leases import AppliedEvent, LeaseLostError
from simorgh_shared.worker.runner import Runner

log = structlog.get_logger()


def end_in_time(runner: Runner, ended: threading.Event, leave_list: Callable[[], None]) -> None:
    """Wait for the attempts' time; then give back, kill and exit. For a thread of its own, once draining has begun.

    ended: set when all attempts have ended. The process may still take the rest of its time to go.
    leave_list: takes the worker off the list.
    """
    draining = runner.draining
    ended.wait(draining.attempts_end_in_s)
    is_clean = ended.is_set()
    if not is_clean:
        log.error("drain_overdue", jobs=list(runner.heartbeats))
        giving = threading.Thread(target=_give_back, args=(runner, leave_list), name="give-back", daemon=True)
        giving.start()
        giving.join(max(0.1, draining.ends_in_s))
        is_clean = not giving.is_alive()
    else:
        threading.Event().wait(max(0.0, draining.ends_in_s))  # a thread that ends with the process
    _kill_descendants()
    os._exit(0 if is_clean else 1)


def _give_back(runner: Runner, leave_list: Callable[[], None]) -> None:
    """The fence comes before the kill: an attempt that notices its child's end cannot write of it any more."""
    events: list[AppliedEvent] = []
    for heart in list(runner.heartbeats.values()):
        used = heart.meter.look() if heart.meter is not None else None
        try:
            with runner.ledger.sessions.begin() as session:
                events.append(endings.leave(session, heart.lease, Outcome.DRAINED))
                if heart.meter is not None and used is not None:
                    heart.meter.keep(session, used)
        except LeaseLostError:
            continue  # it has ended meanwhile
        except DBAPIError as error:  # the dispatcher puts it back when its lease has expired
            log.error("job_not_given_back", job_id=heart.lease.job_id, reason=cause(error))
    _kill_descendants()
    leave_list()
    runner.ledger.publish(events)


def _kill_descendants() -> None:
    for process in psutil.Process().children(recursive=True):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
