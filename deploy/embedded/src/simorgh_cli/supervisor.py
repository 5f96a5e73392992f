"""Owns the running children: starts them in order, restarts what crashes, stops all and leaves nothing."""

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import psutil

from simorgh_cli.children import Child, describe_exit, kill_all, session_members

_PR_SET_CHILD_SUBREAPER = 36
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NUM_TAIL_LINES = 12


@dataclass(frozen=True)
class BackOff:
    """How long to wait before a crashed child starts again."""

    first_s: float = 0.5
    most_s: float = 30.0
    healthy_s: float = 60.0
    """After running for so long, the next crash waits `first_s` again."""

    def wait_s(self, num_crashes: int) -> float:
        """The wait after so many crashes in a row."""
        return min(self.most_s, self.first_s * 2.0 ** min(num_crashes - 1, 16))


@dataclass
class _Watched:
    child: Child
    started_at: float
    num_crashes: int = 0
    start_at: float | None = None
    """When to start it again; None while it runs."""


class Supervisor:
    """Call it from the main thread: children die with the thread that started them."""

    def __init__(self, say: Callable[[str], None], back_off: BackOff | None = None) -> None:
        self._say = say
        self._back_off = back_off or BackOff()
        self._watched: list[_Watched] = []
        self._num_stop_requests = 0
        self.on_change: Callable[[], None] = lambda: None
        """Called when a child has ended, and when it was started again."""
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans come to us, and are ended

    @property
    def children(self) -> list[Child]:
        """The watched children in the order of their start."""
        return [watched.child for watched in self._watched]

    @property
    def stopping(self) -> bool:
        """Whether somebody asked to stop."""
        return self._num_stop_requests > 0

    def request_stop(self) -> None:
        """Ask to stop; a second time, to stop without grace. Safe in a signal handler and in any thread."""
        self._num_stop_requests += 1

    def wait_stop(self) -> None:
        """For other threads: return once somebody asked to stop."""
        while not self.stopping:
            time.sleep(0.1)

    @contextmanager
    def signals_stop(self) -> Iterator[None]:
        """Ctrl-C, SIGTERM and SIGHUP ask to stop while this is open."""

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            self.request_stop()

        before = {number: signal.signal(number, on_signal) for number in _STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def adopt(self, children: Sequence[Child]) -> None:
        """Watch children that run already."""
        self._watched += [_Watched(child, time.monotonic()) for child in children]

    def start(self, child: Child) -> None:
        """Start a child and watch it from now on."""
        child.start()
        self.adopt([child])

    def watch(self, until: Callable[[], bool] = lambda: False, poll_s: float = 0.1) -> None:
        """Restart what crashes, until `until` holds or somebody asks to stop."""
        while not self.stopping and not until():
            self.look()
            time.sleep(poll_s)

    def look(self) -> None:
        """One round: note crashes, start again what has waited long enough, reap orphans that have ended."""
        for watched in self._watched:
            now = time.monotonic()
            if watched.start_at is not None:
                if now >= watched.start_at:
                    watched.start_at, watched.started_at = None, now
                    watched.child.start()
                    self.on_change()
            elif not watched.child.running():
                self._note_crash(watched, now)
                self.on_change()
        self._reap_orphans()

    def stop_all(self, children: Sequence[Child] | None = None) -> None:
        """Stop children in reverse order (all by default), then whatever else descends from us."""
        chosen = [w for w in self._watched if children is None or w.child in children]
        for watched in reversed(chosen):
            watched.start_at = None
            watched.child.ask_to_stop()
        for watched in reversed(chosen):
            deadline = time.monotonic() + watched.child.program.grace_s
            while watched.child.running() and time.monotonic() < deadline and self._num_stop_requests < 2:
                time.sleep(0.02)
            watched.child.stop(grace_s=0)
        self._watched = [w for w in self._watched if w not in chosen]
        self._end_orphans()

    def _note_crash(self, watched: _Watched, now: float) -> None:
        child = watched.child
        if now - watched.started_at >= self._back_off.healthy_s:
            watched.num_crashes = 0
        watched.num_crashes += 1
        wait_s = self._back_off.wait_s(watched.num_crashes)
        watched.start_at = now + wait_s
        child.kill()  # what is left of its session
        self._end_orphans()
        self._say(
            f"{child.name} ended with {describe_exit(child.exit_code)}; starting it again in {wait_s:g} s. "
            f"Its log is {child.log_path}; the last lines:"
        )
        for line in child.last_words(_NUM_TAIL_LINES).splitlines():
            self._say(f"  {child.name} | {line}")

    def _reap_orphans(self) -> None:
        """Let go of descendants that became ours and have ended; how a watched child ended is for its own look."""
        watched = {one.child.leader_pid for one in self._watched}
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None or ended.si_pid in watched:
                return
            os.waitpid(ended.si_pid, os.WNOHANG)

    def _end_orphans(self) -> None:
        """End descendants that no watched child has any more: they lost their parent and became ours."""
        known = {watched.child.pid for watched in self._watched}
        for process in psutil.Process().children():
            if process.pid in known:
                continue
            kill_all({process, *_descendants(process)} | session_members(process.pid))
            try:
                os.waitpid(process.pid, os.WNOHANG)
            except ChildProcessError:
                continue  # reaped by whoever started it


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
