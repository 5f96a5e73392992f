"""Owns a container engine of the trial's own: Debian's, unpacked into a folder and never installed, and its traces.

What it changes on the machine (packet filter, forwarding, mounts) is put back when it ends.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

NO_ENGINE = 77
"""What the trial exits with where no engine can be started."""
PACKAGES = ("docker.io", "iptables", "mmdebstrap", "tini")
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_FILTERS = ("nft", "legacy")
_FOLDERS = ("/etc/docker", "/opt/containerd", "/run/docker", "/run/containerd")
"""Made by an engine wherever its data lie."""
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 60.0


class NoEngineError(Exception):
    """No container engine can be started here; the message says why."""


@dataclass(frozen=True)
class Engine:
    """A running engine, and how to speak to it."""

    tools: Path
    socket: Path
    environment: dict[str, str]

    def run(
        self, *words: str, quiet: bool = True, check: bool = True, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker` with these words."""
        return subprocess.run(
            ["docker", *words], env=self.environment, text=True, input=given, check=check, capture_output=quiet
        )

    def says(self, *words: str) -> str:
        """What `docker` answers to these words."""
        return self.run(*words).stdout.strip()


def unpack_tools(folder: Path) -> Path:
    """Fetch Debian's packages of the engine and unpack them below the folder.

    Raises: NoEngineError where that cannot be.
    """
    root = folder / "tools"
    if (root / "usr/sbin/dockerd").exists():
        return root
    if os.geteuid() != 0:
        raise NoEngineError("a container engine needs root here")
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise NoEngineError("the engine comes from Debian's packages, and this is no Debian")
    packages = folder / "packages"
    (packages / "partial").mkdir(parents=True, exist_ok=True)
    fetch = ["apt-get", "install", "-qq", "-y", "--download-only", "--no-install-recommends", "--reinstall"]
    try:
        subprocess.run(["apt-get", "update", "-qq"], check=True, capture_output=True, text=True)
        subprocess.run(
            [*fetch, "-o", f"Dir::Cache::archives={packages}", *PACKAGES], check=True, capture_output=True, text=True
        )
    except subprocess.CalledProcessError as error:
        raise NoEngineError(f"Debian's packages of the engine cannot be had: {error.stderr.strip()}") from error
    for package in sorted(packages.glob("*.deb")):
        subprocess.run(["dpkg", "--extract", str(package), str(root)], check=True)
    (root / "usr/sbin/iptables").symlink_to("xtables-nft-multi")
    (root / "usr/sbin/ip6tables").symlink_to("xtables-nft-multi")
    return root


@contextmanager
def running(folder: Path) -> Iterator[Engine]:
    """An engine with its data below the folder, ended with its traces.

    Raises: NoEngineError where it does not come up.
    """
    tools = unpack_tools(folder)
    environment = _environment(tools)
    state = folder / "state"
    state.mkdir(parents=True, exist_ok=True)
    socket = state / "docker.sock"
    environment["DOCKER_HOST"] = f"unix://{socket}"
    before = _filter_rules(environment)
    forwarding = _FORWARDING.read_text()
    made = [path for path in map(Path, _FOLDERS) if not path.exists()]
    command = ["unshare", "--mount", "--propagation", "private", "dockerd", f"--host=unix://{socket}"]
    command += ["--storage-driver=overlay2", f"--data-root={folder / 'data'}", f"--exec-root={state / 'exec'}"]
    command += [f"--pidfile={state / 'docker.pid'}", "--log-level=warn", "--shutdown-timeout=20"]
    with (folder / "dockerd.log").open("w") as log:
        daemon = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        engine = Engine(tools, socket, environment)
        _wait_until_up(engine, daemon, folder / "dockerd.log")
        yield engine
    finally:
        _stop(daemon)
        _put_filter_back(environment, before)
        _FORWARDING.write_text(forwarding)
        subprocess.run(["ip", "link", "delete", "docker0"], check=False, capture_output=True)
        for path in made:
            shutil.rmtree(path, ignore_errors=True)
        _remove_groups()


def traces(environment: dict[str, str]) -> dict[str, str]:
    """What an engine changes on the machine: compared before and after."""
    links = subprocess.run(["ip", "-brief", "link"], check=True, capture_output=True, text=True).stdout
    return {
        "packet filter": "\n".join(line for rules in _filter_rules(environment).values() for line in _telling(rules)),
        "forwarding": _FORWARDING.read_text().strip(),
        "network links": "\n".join(sorted(line.split()[0] for line in links.splitlines())),
        "folders": "\n".join(path for path in _FOLDERS if Path(path).exists()),
        "cgroups": "\n".join(sorted(str(path) for path in Path("/sys/fs/cgroup").glob("*/docker"))),
        "mounts": "\n".join(sorted(line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())),
    }


def tool_environment(tools: Path) -> dict[str, str]:
    """The variables by which the unpacked programs find each other."""
    return _environment(tools)


def _environment(tools: Path) -> dict[str, str]:
    libraries = tools / "usr/lib/x86_64-linux-gnu"
    return {
        "PATH": f"{tools / 'usr/sbin'}:{tools / 'usr/bin'}:{os.environ.get('PATH', os.defpath)}",
        "LD_LIBRARY_PATH": str(libraries),
        "XTABLES_LIBDIR": str(libraries / "xtables"),
        "HOME": str(tools),
        "DOCKER_BUILDKIT": "1",
        "BUILDKIT_PROGRESS": "plain",
        "LC_ALL": "C.UTF-8",
    }


def _wait_until_up(engine: Engine, daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if daemon.poll() is not None:
            break
        if engine.run("version", check=False).returncode == 0:
            return
        time.sleep(0.2)
    raise NoEngineError(f"the engine does not start here:\n{log.read_text()[-2000:]}")


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    """End the engine; its session with it, where it does not end by itself."""
    if daemon.poll() is None:
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()


def _remove_groups() -> None:
    """Remove the control groups that builds leave, the inner ones first. One that is in use is not ours."""
    for top in Path("/sys/fs/cgroup").glob("*/docker"):
        for group in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
            with suppress(OSError):
                group.rmdir()
        with suppress(OSError):
            top.rmdir()


def _filter_rules(environment: dict[str, str]) -> dict[str, str]:
    """The machine's packet filter without its counters and remarks."""
    rules = {}
    for kind in _FILTERS:
        told = subprocess.run([f"iptables-{kind}-save"], env=environment, capture_output=True, text=True, check=False)
        rules[kind] = "\n".join(_bare(line) for line in told.stdout.splitlines() if not line.startswith("#"))
    return rules


def _telling(rules: str) -> list[str]:
    """The lines that do something: an empty chain that accepts is as good as none."""
    return [line for line in rules.splitlines() if line.startswith("-A") or (line[:1] == ":" and "ACCEPT" not in line)]


def _bare(line: str) -> str:
    return line.partition(" [")[0] if line.startswith(":") else line


def _put_filter_back(environment: dict[str, str], before: dict[str, str]) -> None:
    """Take out what the engine added; then load what was there."""
    for kind in _FILTERS:
        if _filter_rules(environment)[kind] == before[kind]:
            continue
        tables: Sequence[str] = ("nat", "filter", "mangle", "raw")
        for table in tables:
            for word in ("--flush", "--delete-chain"):
                _iptables(environment, kind, "--table", table, word)
        for chain in ("INPUT", "FORWARD", "OUTPUT"):
            _iptables(environment, kind, "--policy", chain, "ACCEPT")
        if before[kind].strip():
            subprocess.run(
                [f"iptables-{kind}-restore"], env=environment, input=before[kind] + "\n", text=True, check=True
            )


def _iptables(environment: dict[str, str], kind: str, *words: str) -> None:
    subprocess.run([f"iptables-{kind}", *words], env=environment, check=False, capture_output=True)
