"""Owns the embedded platform: servers, migration and services of one data folder, from start to stop."""

import http.client
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from simorgh_cli.backing.ports import Ports
from simorgh_cli.backing.secrets import write_private
from simorgh_cli.backing.servers import BackingServers
from simorgh_cli.children import Child, Program
from simorgh_cli.environment import (
    OWNER_URL,
    embedded_servers,
    platform_environment,
    script,
    service_environment,
)
from simorgh_cli.lock import FolderLock
from simorgh_cli.processes import SERVICES, Service
from simorgh_cli.supervisor import BackOff, Supervisor
from simorgh_shared.domain.errors import UnavailableError

_READY_TIMEOUT_S = 120.0  # a busy machine of 2 cores imports the services in 20 s


@dataclass(frozen=True)
class Platform:
    """A platform that serves."""

    supervisor: Supervisor
    data_dir: Path
    api_url: str
    inference_url: str


@contextmanager
def running_platform(
    data_dir: Path,
    given: Mapping[str, str],
    say: Callable[[str], None],
    services: Sequence[Service] = SERVICES,
    back_off: BackOff | None = None,
) -> Iterator[Platform]:
    """Start everything, hand it over once it is ready, and stop everything at the end, come what may."""
    data_dir = data_dir.resolve()
    lock = FolderLock(data_dir)
    supervisor = Supervisor(say, back_off)
    backing = BackingServers(data_dir, only=embedded_servers(given))
    try:
        with supervisor.signals_stop():
            try:
                yield _start(supervisor, backing, lock, given, say, services)
            finally:
                say("Stopping.")
                endpoints_file(data_dir).unlink(missing_ok=True)
                servers = backing.children
                supervisor.stop_all([child for child in supervisor.children if child not in servers])
                supervisor.stop_all()
                backing.stop()
    finally:
        lock.release()


def endpoints_file(data_dir: Path) -> Path:
    """Where a running platform's addresses stand, for its owner alone."""
    return data_dir / "endpoints.json"


def _start(
    supervisor: Supervisor,
    backing: BackingServers,
    lock: FolderLock,
    given: Mapping[str, str],
    say: Callable[[str], None],
    services: Sequence[Service],
) -> Platform:
    data_dir = backing.data_dir
    say(f"Starting Simorgh on {data_dir}: {', '.join(embedded_servers(given)) or 'external servers'} …")
    at = backing.start()
    supervisor.adopt(backing.children)
    shared = platform_environment(given, data_dir, at, backing.ports, backing.secrets)
    _migrate(shared, data_dir / "logs" / "migrate.log")
    children = [_child(service, shared, backing.ports, data_dir) for service in services if _fits(service)]
    for child in children:
        supervisor.start(child)
    for child in children:
        if child.program.ready is not None:
            _wait_ready(supervisor, child)
    platform = Platform(
        supervisor,
        data_dir,
        f"http://{shared['SIMORGH_API_HOST']}:{shared['SIMORGH_API_PORT']}",
        shared["SIMORGH_INFERENCE_URL"],
    )
    lock.describe(platform.api_url)
    _write_endpoints(platform)
    supervisor.on_change = lambda: _write_endpoints(platform)  # a process that was started again has another id
    return platform


def _wait_ready(supervisor: Supervisor, child: Child) -> None:
    if not supervisor.stopping:
        child.wait_ready(_READY_TIMEOUT_S, give_up=lambda: supervisor.stopping)


def _fits(service: Service) -> bool:
    return not service.needs_gpu or Path("/dev/nvidia0").exists()


def _child(service: Service, shared: Mapping[str, str], ports: Ports, data_dir: Path) -> Child:
    environment = service_environment(shared, service, ports)
    port = int(environment[service.ready_at]) if service.ready_at else None
    program = Program(
        name=service.name,
        argv=(script(service.command[0]), *service.command[1:]),
        env=environment,
        ready=None if port is None else lambda: _answers_ready(port),
        grace_s=service.grace_s,
        cwd=data_dir,
    )
    return Child(program, data_dir / "logs" / f"{service.name}.log")


def _migrate(shared: Mapping[str, str], log_path: Path) -> None:
    assert shared[OWNER_URL]
    done = subprocess.run([script("simorgh-migrate")], env=dict(shared), capture_output=True, text=True, check=False)
    log_path.parent.mkdir(exist_ok=True, mode=0o700)
    log_path.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        lines = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise UnavailableError("migration_failed", log=str(log_path), tail=lines)


def _answers_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _write_endpoints(platform: Platform) -> None:
    known = {
        "pid": os.getpid(),
        "api_url": platform.api_url,
        "docs_url": f"{platform.api_url}/docs",
        "inference_url": platform.inference_url,
        "processes": {child.name: child.pid for child in platform.supervisor.children},
    }
    write_private(endpoints_file(platform.data_dir), json.dumps(known, indent=1))
