"""Owns how a child process is started and ended: its own session, a log file, and no survivors.

A child dies with the process that started it, even when that one is killed with SIGKILL. The kernel ties
this to the thread that forked: start children from the main thread, or from one that lives as long.
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from simorgh_cli.logfiles import open_log, tail
from simorgh_shared.domain.errors import UnavailableError

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.02  # a probe costs well under a millisecond
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Program:
    """What to run and how to tell that it is ready."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    """The whole environment of the child."""
    ready: Callable[[], bool] | None = None
    """True once it serves; None where being alive is all that can be seen."""
    stop_signal: int = signal.SIGTERM
    grace_s: float = 10.0
    """Time to end after `stop_signal`; then its whole session is killed."""
    death_signal: int = signal.SIGKILL
    """What the kernel sends the child when its parent is gone."""
    user_id: int | None = None
    """Run as this user; None means the current one."""
    cwd: Path | None = None


class Child:
    """One running program. It can be started again after it ended."""

    def __init__(self, program: Program, log_path: Path) -> None:
        self.program = program
        self.log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def name(self) -> str:
        """The program's name."""
        return self.program.name

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self.running() else None

    @property
    def leader_pid(self) -> int | None:
        """The id of the process that was started last, whether it still runs or not."""
        return None if self._process is None else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How the last run ended: None while it runs, negative for a signal."""
        return None if self._process is None else self._process.poll()

    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the program; it must not be running."""
        assert not self.running(), f"{self.name} runs already"
        with open_log(self.log_path) as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self.program.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.program.env),
                cwd=self.program.cwd,
                start_new_session=True,
                user=self.program.user_id,
                group=self.program.user_id,
                extra_groups=None if self.program.user_id is None else [],
                preexec_fn=_die_with_parent(self.program.death_signal),
            )

    def last_words(self, num_lines: int = 15) -> str:
        """The last lines that this run wrote to its log."""
        return tail(self.log_path, num_lines, self._log_start)

    def is_ready(self) -> bool:
        """Whether it runs and its probe says that it serves."""
        return self.running() and (self.program.ready is None or self.program.ready())

    def wait_ready(self, timeout_s: float = 60.0, give_up: Callable[[], bool] = lambda: False) -> None:
        """Wait until it serves, or until `give_up` holds.

        Raises: UnavailableError with the log's last lines when it ends first or takes longer.
        """
        deadline = time.monotonic() + timeout_s
        while not self.is_ready() and not give_up():
            if not self.running():
                raise UnavailableError(
                    "process_ended",
                    name=self.name,
                    how=describe_exit(self.exit_code),
                    log=str(self.log_path),
                    tail=self.last_words(),
                )
            if time.monotonic() > deadline:
                raise UnavailableError(
                    "process_not_ready",
                    name=self.name,
                    waited_s=round(timeout_s),
                    log=str(self.log_path),
                    tail=self.last_words(),
                )
            time.sleep(_POLL_S)

    def ask_to_stop(self) -> None:
        """Send the stop signal and return at once."""
        if self._process is not None and self.running():
            self._process.send_signal(self.program.stop_signal)

    def stop(self, grace_s: float | None = None) -> None:
        """Ask it to stop, wait, then kill what is left of its session."""
        if self._process is None:
            return
        family = session_members(self._process.pid)
        self.ask_to_stop()
        try:
            self._process.wait(self.program.grace_s if grace_s is None else grace_s)
        except subprocess.TimeoutExpired:
            family |= session_members(self._process.pid)
        kill_all(family)
        self._process.wait()

    def restart(self, timeout_s: float = 60.0) -> None:
        """End it if it runs, start it and wait until it serves."""
        self.stop()
        self.start()
        self.wait_ready(timeout_s)

    def kill(self) -> None:
        """SIGKILL to the program and all that it started, as a crash would."""
        if self._process is None:
            return
        kill_all(session_members(self._process.pid))
        self._process.wait()


def session_members(leader_pid: int) -> set[psutil.Process]:
    """The processes of the leader's session and their descendants in any session."""
    processes = {process.pid: process for process in psutil.process_iter()}
    children: dict[int, list[int]] = {}
    found: list[int] = []
    for pid, process in processes.items():
        try:
            children.setdefault(process.ppid(), []).append(pid)
            if os.getsid(pid) == leader_pid:
                found.append(pid)
        except (ProcessLookupError, PermissionError, psutil.Error):
            continue
    members: set[psutil.Process] = set()
    while found:
        pid = found.pop()
        if processes[pid] not in members:
            members.add(processes[pid])
            found.extend(children.get(pid, ()))
    return members


def kill_all(processes: Iterable[psutil.Process], timeout_s: float = 10.0) -> None:
    """SIGKILL each process that is still the one that was seen, and wait until all are gone."""
    waited = []
    for process in processes:
        try:
            process.kill()  # psutil compares the creation time: a reused id is left alone
            waited.append(process)
        except psutil.Error:
            continue
    deadline = time.monotonic() + timeout_s
    while any(_lives(process) for process in waited) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def describe_exit(code: int | None) -> str:
    """An exit code in words: `exit code 3` or `signal SIGKILL`."""
    if code is None:
        return "no exit code"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _die_with_parent(death_signal: int) -> Callable[[], None]:
    """A function for the child between fork and exec. It calls only what is loaded already."""
    parent_pid = os.getpid()

    def set_death_signal() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent_pid:  # the parent died before the call: the signal will never come
            os._exit(1)

    return set_death_signal
