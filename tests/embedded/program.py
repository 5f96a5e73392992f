"""The installed `simorgh` as processes of its own, each with a home that is the test's."""

import json
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.environment import inherited

PASSWORD = "correct horse battery"
DEADLINE_S = 90.0


@dataclass
class Simorgh:
    """The program with a home and variables of its own."""

    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    started: "list[subprocess.Popen[str]]" = field(default_factory=list)

    @property
    def login_file(self) -> Path:
        """Where it keeps who is signed in."""
        return self.home / "config" / "simorgh" / "login.json"

    def environment(self) -> dict[str, str]:
        """What it sees: nothing of the machine's own settings."""
        return {
            **inherited(),
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "SIMORGH_PASSWORD": PASSWORD,
            "LANG": "C.UTF-8",
            **self.variables,
        }

    def run(self, *arguments: str, code: int = 0, said: str = "") -> "subprocess.CompletedProcess[str]":
        """Run it to its end, which has to be this one. `said` is its standard input."""
        done = subprocess.run(
            command(*arguments),
            env=self.environment(),
            cwd=self.home,
            input=said,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == code, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def ask(self, *arguments: str, said: str = "") -> Any:
        """The JSON that it writes."""
        return json.loads(self.run(*arguments, "--json", said=said).stdout)

    def refuse(self, *arguments: str, code: int = 1) -> str:
        """What it says on standard error when it fails; standard output stays empty."""
        done = self.run(*arguments, code=code)
        assert done.stdout == ""
        return done.stderr

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start it, to read what it says while it works."""
        process = subprocess.Popen(
            command(*arguments),
            env=self.environment(),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def leave(self) -> None:
        """End what a test that failed has left."""
        for process in self.started:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                assert stream is not None
                stream.close()


def command(*arguments: str) -> list[str]:
    """The installed program with these arguments."""
    return [str(Path(sysconfig.get_path("scripts")) / "simorgh"), *arguments]


def events_until(process: "subprocess.Popen[str]", wanted: Callable[[Mapping[str, Any]], bool]) -> Iterator[dict]:
    """The JSON lines of a watcher up to the first that is wanted."""
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        yield event
        if wanted(event):
            return
    assert process.stderr is not None
    raise AssertionError(f"it ended before that: {process.stderr.read()}")


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """How a process ended, and what it said until then."""
    # Through the same buffer as `events_until`: communicate() reads past what that has taken in and not given out.
    read = process.stdout.read() if process.stdout is not None else ""
    out, err = process.communicate(timeout=DEADLINE_S)
    return process.returncode, read + (out or ""), err


def wait_for(look: Callable[[], object], what: str) -> None:
    """Look until there is something to be seen."""
    deadline = time.monotonic() + DEADLINE_S
    while not look():
        assert time.monotonic() < deadline, f"no {what} within {DEADLINE_S} s"
        time.sleep(0.05)
