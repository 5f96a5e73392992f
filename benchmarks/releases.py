"""A release of this repository as it was at a commit, and its processes on servers that outlive them."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
_SOURCES = (
    "shared/src",
    "services/api/src",
    "services/trainer-worker/src",
    "services/inference/src",
    "services/voice/src",
)
_READY_S = 180.0
_GONE_S = 60.0
_DRAINS = ("cut_short", "services/api/src/simorgh_api/middleware.py")
"""What the gateway has since it answers 503 to whom it can wait for no longer: before, it answered 500."""


@dataclass(frozen=True)
class Release:
    """A version of the code with an interpreter that sees it and no other."""

    name: str
    python: Path

    def command(self, module: str, *arguments: str) -> list[str]:
        """A console script of this release."""
        call = f"import sys; from {module} import main; sys.exit(main())"
        return [str(self.python), "-c", call, *arguments]


def older_release() -> str:
    """The commit before the newest migration; where that ends badly by itself, the first commit that ends well.

    Raises: RuntimeError where the history does not reach so far back.
    """
    before = _before_the_newest_migration()
    drains = _git("log", f"-S{_DRAINS[0]}", "--reverse", "--format=%H", "--", _DRAINS[1]).split()
    if not drains:
        raise RuntimeError("the history does not reach so far back: clone the whole of it, or name a commit")
    known = subprocess.run(["git", "merge-base", "--is-ancestor", drains[0], before], cwd=ROOT, check=False)
    return before if known.returncode == 0 else drains[0]


def _before_the_newest_migration() -> str:
    versions = sorted((ROOT / "shared/src/simorgh_shared/db/migrations/versions").glob("v[0-9]*.py"))
    newest = versions[-1].relative_to(ROOT)
    found = _git("log", "--diff-filter=A", "--format=%H", "--", str(newest)).split()
    if not found:
        raise RuntimeError(f"{newest} is not committed yet, or the history does not reach so far back")
    return _git("rev-parse", f"{found[-1]}^").strip()


def release(commit: str | None, folder: Path) -> Release:
    """The code of a commit in a folder of its own; None takes the tree as it stands.

    Its interpreter has the packages of ours, and finds this code before ours.
    """
    tree = ROOT
    if commit is not None:
        tree = folder / "tree"
        tree.mkdir(parents=True)
        archive = subprocess.Popen(["git", "-C", str(ROOT), "archive", commit], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", str(tree)], stdin=archive.stdout, check=True)
        if archive.wait() != 0:
            raise RuntimeError(f"git has no commit {commit}")
    made = folder / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made)], check=True)
    site = next((made / "lib").glob("python*")) / "site-packages"
    # A plain line is a folder to look in; the links to our own code, which stand in files like this, are not followed.
    lines = [str(tree / source) for source in _SOURCES] + [sysconfig.get_path("purelib")]
    (site / "release.pth").write_text("\n".join(lines) + "\n")
    return Release("newer" if commit is None else "older", made / "bin" / "python")


@dataclass
class Process:
    """One process of the platform, which can be ended and started again by another release."""

    name: str
    module: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    answers_at: str
    """Where it says that it lives."""
    log: Path
    running: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def start(self, by: Release) -> None:
        """Start it, and wait until it answers."""
        with self.log.open("ab") as file:
            self.running = subprocess.Popen(
                by.command(self.module, *self.arguments),
                env=dict(self.environment),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.log.parent,
            )
        deadline = time.monotonic() + _READY_S
        while not self._answers():
            if self.running.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} ({by.name}) did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.1)

    def end(self) -> float:
        """Ask it to end, as every engine of containers does; how long it took.

        Raises: RuntimeError when it does not.
        """
        assert self.running is not None
        began = time.monotonic()
        self.running.send_signal(signal.SIGTERM)
        try:
            self.running.wait(_GONE_S)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise RuntimeError(f"{self.name} did not end within {_GONE_S:.0f} s") from error
        return time.monotonic() - began

    def kill(self) -> None:
        """End it and its children, whatever they do."""
        if self.running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.running.pid, signal.SIGKILL)
            self.running.wait()

    def _answers(self) -> bool:
        try:
            return httpx.get(self.answers_at, timeout=5).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


def migrate(by: Release, environment: Mapping[str, str]) -> str:
    """Bring the database to the release's schema; what it said."""
    done = subprocess.run(
        by.command("simorgh_shared.db.migrate"), env=dict(environment), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"the migration of the {by.name} release failed:\n{done.stderr[-3000:]}")
    return done.stdout.strip()


def drop(folder: Path) -> None:
    """Remove what a release has left."""
    shutil.rmtree(folder, ignore_errors=True)


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True, text=True).stdout
