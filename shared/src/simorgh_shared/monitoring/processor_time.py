"""Processor time of a process with all that it has started, exact to its end."""

import os
import threading

import psutil


class ProcessorTime:
    """Grows only. It settles when the process has ended, before anybody waits for it: its figures go then."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._lock = threading.Lock()
        self._seconds = 0.0
        self._is_settled = False

    def seconds(self) -> float:
        """So far. What ended children took is in it from when their parent waited for them."""
        with self._lock:
            if not self._is_settled:
                self._seconds = max(self._seconds, _family_s(self._pid))
            return self._seconds

    def settle(self) -> None:
        """Read for the last time: the process may be a zombie, but not gone."""
        self.seconds()
        with self._lock:
            self._is_settled = True

    def settle_at_end(self, *, wait: bool) -> None:
        """Settle if the process has ended, or once it has. It is left for its parent to wait for."""
        if self._is_settled:
            return
        how = os.WEXITED | os.WNOWAIT | (0 if wait else os.WNOHANG)
        try:
            ended = os.waitid(os.P_PID, self._pid, how) is not None
        except ChildProcessError:
            ended = True
        if ended:
            self.settle()


def _family_s(pid: int) -> float:
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total_s = 0.0
    for process in family:
        try:
            times = process.cpu_times()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        total_s += times.user + times.system + times.children_user + times.children_system
    return total_s
