"""Checks of what `simorgh up` needs: its data folder, disk, ports, and servers that start here."""

import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from simorgh_cli import lock
from simorgh_cli.backing import postgres, seaweed, valkey
from simorgh_cli.backing.ports import is_free
from simorgh_cli.doctor.findings import Finding, ok, remark, wrong
from simorgh_cli.environment import embedded_servers
from simorgh_cli.terminal.output import size
from simorgh_shared.domain.errors import AppError

# The quick start leaves 0.16 GB; a checkpoint of a larger model is 12 bytes a parameter, and three of a run are kept.
_DISK_NEEDED_BYTES, _DISK_WISHED_BYTES = 2 * 10**9, 10 * 10**9
_PREFERRED_API_PORT = 8000
_PROGRAM_ANSWER_S = 30.0
_VERSION = re.compile(r"\b(?:v=|version \S* )(\d+(?:\.\d+)+)")


def data_folder(data_dir: Path) -> Finding:
    """Whether the folder can be made, entered and written, by trying."""
    folder = data_dir.resolve()
    advice = "Choose another one with --data DIR, or give yourself the right to write there."
    in_the_way = next((path for path in (folder, *folder.parents) if path.exists() and not path.is_dir()), None)
    if in_the_way is not None:
        return wrong("data folder", f"{folder} cannot be made: {in_the_way} is no folder", advice)
    try:
        with tempfile.TemporaryDirectory(prefix=".simorgh-doctor-", dir=_nearest(folder)) as trial:
            (Path(trial) / "probe").write_bytes(b"probe")
    except OSError as error:
        return wrong("data folder", f"{folder} cannot be written: {(error.strerror or str(error)).lower()}", advice)
    if lock.is_held(folder):
        return ok("data folder", f"{folder}, a platform runs on it (pid {lock.read_holder(folder).get('pid')})")
    if not folder.exists():
        return remark(
            "data folder", f"{folder} does not exist", "simorgh up makes it; name another one with --data DIR."
        )
    return ok("data folder", str(folder))


def disk(data_dir: Path) -> Finding:
    """What is free where the data will lie."""
    folder = _nearest(data_dir.resolve())
    free_bytes = shutil.disk_usage(folder).free
    found = f"{size(free_bytes)} free below {folder}"
    if free_bytes < _DISK_NEEDED_BYTES:
        return wrong("disk", found, f"The platform needs {size(_DISK_NEEDED_BYTES)}: free some, or choose --data DIR.")
    if free_bytes < _DISK_WISHED_BYTES:
        return remark("disk", found, "Enough to begin; checkpoints and datasets need more.")
    return ok("disk", found)


def ports(environment: Mapping[str, str], data_dir: Path) -> Finding:
    """Whether programs may listen on the loopback interface, and whether the API's port is free."""
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return wrong("ports", f"nothing may listen on 127.0.0.1: {reason}", "Bring the loopback interface up.")
    given = environment.get("SIMORGH_API_PORT", "")
    port = int(given) if given.isdecimal() else _PREFERRED_API_PORT
    if is_free(port) or lock.is_held(data_dir):
        return ok("ports", f"the API's port {port} is free" if is_free(port) else "the running platform has its own")
    if given:
        return wrong("ports", f"port {port} is taken", "End what listens there, or set another SIMORGH_API_PORT.")
    return remark("ports", f"port {port} is taken", "The API will take another one; simorgh status tells which.")


def database(environment: Mapping[str, str], data_dir: Path) -> Finding:
    """Whether PostgreSQL works here as this user, by making a small cluster in the data folder and dropping it."""
    if "postgres" not in embedded_servers(environment):
        return remark("postgresql", "SIMORGH_DATABASE_URL names one of yours; it is not looked at")
    launch = postgres.choose_launch()
    how = "as this user"
    if os.geteuid() == 0:
        how = (
            "as root, in a user namespace" if launch.prefix else "as nobody: this system gives root no user namespaces"
        )
    folder = data_dir.resolve()
    # `nobody` must be let into the data folder, which `simorgh up` sees to: so the trial stands beside it.
    place = _nearest(folder if launch.user_id is None else folder.parent)
    try:
        with tempfile.TemporaryDirectory(prefix=".simorgh-doctor-", dir=place) as trial:
            postgres.create_cluster(Path(trial) / "cluster", secrets.token_hex(8), launch, durable=False)
    except AppError as error:
        return wrong("postgresql", str(error), "Choose a data folder that this user can use (--data DIR).")
    except OSError as error:
        return wrong("postgresql", f"it does not start: {error}", "make clean setup installs the servers anew.")
    return ok("postgresql", f"works {how}")


def programs(environment: Mapping[str, str]) -> list[Finding]:
    """Whether the other servers' programs start here at all."""
    asked = {
        "valkey": ([str(valkey.binary()), "--version"], "SIMORGH_REDIS_URL"),
        "seaweed": ([str(seaweed.binary()), "version"], "SIMORGH_S3_ENDPOINT_URL"),
    }
    embedded = embedded_servers(environment)
    return [
        _program(name, command) if name in embedded else remark(name, f"{variable} names one of yours")
        for name, (command, variable) in asked.items()
    ]


def _program(name: str, command: list[str]) -> Finding:
    advice = "make clean setup installs it anew; it needs Linux on x86-64 or ARM64, and a folder without noexec."
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROGRAM_ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return wrong(name, f"it does not start: {error}", advice)
    said = (done.stdout + done.stderr).strip()
    if done.returncode != 0:
        return wrong(name, f"it ends with {done.returncode}: {said[-200:]}", advice)
    found = _VERSION.search(said)
    return ok(name, f"version {found[1]}" if found else "starts")


def _nearest(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.is_dir())
