"""Checks of what hears and speaks: the worker of a platform here, and a Whisper in the project."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from simorgh_cli import lock
from simorgh_cli.api import models
from simorgh_cli.commands.options import Invocation
from simorgh_cli.doctor.findings import Finding, ok, remark, wrong
from simorgh_cli.platform import endpoints_file
from simorgh_shared.domain.errors import AppError

_WORKERS = ("voice-cpu", "voice-gpu")
_NEWEST_MODELS = 200


def voice(invocation: Invocation) -> Iterator[Finding]:
    """What of it can be looked at; that there is no platform is told by the checks of the API."""
    try:
        place = invocation.place()
    except AppError:
        return
    if place.data_dir is not None and lock.is_held(Path(place.data_dir)):
        yield worker(Path(place.data_dir))
    try:
        with invocation.connected() as connection:
            yield _whisper(models.listed(connection, _NEWEST_MODELS))
    except AppError:
        return


def worker(data_dir: Path) -> Finding:
    """Whether a process of the platform on this folder hears and speaks."""
    advice = f"simorgh status shows the processes; its log is {data_dir / 'logs' / 'voice-cpu.log'}"
    try:
        processes = json.loads(endpoints_file(data_dir).read_text())["processes"]
    except (OSError, ValueError, KeyError):
        processes = {}
    live = [name for name in _WORKERS if processes.get(name) and psutil.pid_exists(processes[name])]
    if not live:
        return wrong("voice: worker", "none runs: nothing is transcribed or spoken", advice)
    return ok("voice: worker", ", ".join(f"{name} runs (pid {processes[name]})" for name in live))


def _whisper(found: list[dict[str, Any]]) -> Finding:
    for one in found:
        if any("transcription" in (version["traits"].get("can") or ()) for version in one["versions"][:1]):
            return ok("voice: whisper", str(one["name"]))
    advice = "make voice-models installs one, simorgh models upload FOLDER sends another."
    return remark("voice: whisper", "no model of the project hears speech", advice)
