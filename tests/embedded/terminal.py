"""A person at a terminal: reads what the program writes there, and types when it asks."""

import os
import pty
import select
import subprocess
import time
from collections.abc import Sequence

from tests.embedded.program import DEADLINE_S, Simorgh, command

PROMPT = "\x1b[?2004h"
"""What a prompt begins with: it asks the terminal to mark what is pasted."""


def on_terminal(program: Simorgh, *arguments: str, keys: Sequence[str] = (), code: int = 0) -> str:
    """What is on a terminal of 100 columns once the program has ended with this code.

    `keys` are pairs: what has to stand there, and what is typed then.
    """
    ours, theirs = pty.openpty()
    size = {"COLUMNS": "100", "LINES": "40"}
    # Nobody here answers where the cursor is.
    environment = program.environment() | {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"} | size
    process = subprocess.Popen(
        command(*arguments),
        env=environment,
        cwd=program.home,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    screen = _Screen(ours)
    try:
        for awaited, typed in zip(keys[::2], keys[1::2], strict=True):
            screen.wait(awaited)
            os.write(ours, typed.encode())
        screen.read_on()
        assert process.wait(DEADLINE_S) == code, screen.text
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return screen.text


class _Screen:
    """All that was written to a terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._written = b""
        self._looked_at = 0
        self._deadline = time.monotonic() + DEADLINE_S

    @property
    def text(self) -> str:
        return self._written.decode(errors="replace")

    def wait(self, awaited: str) -> None:
        """Read until this stands there, after what was awaited before."""
        while (at := self._written.find(awaited.encode(), self._looked_at)) < 0:
            assert self._read(), f"it ended without {awaited!r}:\n{self.text}"
        self._looked_at = at + len(awaited.encode())

    def read_on(self) -> None:
        """Read to the end."""
        while self._read():
            continue

    def _read(self) -> bool:
        left_s = self._deadline - time.monotonic()
        assert left_s > 0, self.text
        if not select.select([self._descriptor], [], [], left_s)[0]:
            return True
        try:
            part = os.read(self._descriptor, 65536)
        except OSError:  # how Linux says that nobody has the other end open any more
            return False
        self._written += part
        return bool(part)
