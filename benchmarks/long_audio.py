"""A trial of R-VOICE-4: an hour of speech and silence, with the engine and the worker killed, and clips beside it.

    python benchmarks/long_audio.py --whisper FOLDER [--hours N]

It starts an embedded platform of its own (gateway, dispatcher, voice worker), transcribes the hour once in peace and
once with kill -9 of the engine at a quarter, of the worker at a half and of the engine at three quarters, sends 20
short clips before and during the first run, and prints one line of JSON. It exits with 1 where a claim does not hold.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from simorgh_cli.platform import Platform, running_platform
from simorgh_cli.processes import SERVICES
from voice import CLIP_S, ENGLISH, RATE, Ours, samples_of, signed_up, upload, wav_of

WANTED = ("api", "dispatcher", "voice-cpu")
NUM_CLIPS = 20
KILLS = ((0.25, "engine"), (0.5, "worker"), (0.75, "engine"))
"""After such a share of the file, what is killed."""
FLAT_BYTES = 200 << 20
"""How much more the worker and its engines may hold in the last third of the run than in the middle one."""
_MODULE = "simorgh_voice.engine"


def main() -> int:
    """Run the trial; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whisper", type=Path, required=True)
    parser.add_argument("--hours", type=float, default=1.0)
    arguments = parser.parse_args()
    services = [service for service in SERVICES if service.name in WANTED]
    given = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "SIMORGH_LEASE_S": "10"}
    with tempfile.TemporaryDirectory(prefix="simorgh-trial-") as name:
        folder = Path(name)
        with (
            running_platform(folder / "data", given, note, services) as platform,
            signed_up(platform.api_url) as client,
            restarting(platform),
        ):
            upload(client, arguments.whisper, "whisper-base")
            figures = try_out(platform, client, arguments.hours)
    print(json.dumps(figures))
    claims = ("text_equal", "memory_flat", "clips_within_twice")
    return 0 if all(figures[claim] for claim in claims) else 1


def try_out(platform: Platform, client: httpx.Client, hours: float) -> dict[str, Any]:
    """Both runs; what was measured."""
    ours = Ours(client)
    english = samples_of(ours.speak(" ".join(ENGLISH), "espeak:en")[0])
    clip = wav_of(english[: CLIP_S * RATE])
    ours.hear(clip, "en")  # loads the model
    idle = [ours.hear(clip, "en")["seconds"] for _ in range(NUM_CLIPS)]
    sound = wav_of(hour_of(english, hours))
    note(f"{len(sound) / 1e6:,.0f} MB of sound; 20 clips while idle: median {statistics.median(idle):.3f} s")
    beside: list[float] = []

    def send_clips() -> None:
        for _ in range(NUM_CLIPS):
            beside.append(ours.hear(clip, "en")["seconds"])

    with memory_of(platform) as memory:
        peaceful, peaceful_s = run(client, sound, {0.2: send_clips})
    killed: list[str] = []
    blows = {share: lambda what=what: killed.append(kill(platform, what)) for share, what in KILLS}
    disturbed, disturbed_s = run(client, sound, blows)
    thirds = len(memory) // 3
    growth = max(memory[2 * thirds :]) - max(memory[thirds : 2 * thirds])
    p95 = {name: float(np.percentile(times, 95)) for name, times in (("idle", idle), ("beside", beside))}
    return {
        "audio_s": round(hours * 3_600),
        "seconds": round(peaceful_s, 1),
        "seconds_with_kills": round(disturbed_s, 1),
        "killed": killed,
        "attempts": client.get(f"/api/jobs/{disturbed['job_id']}").json()["data"].get("attempt"),
        "characters": len(peaceful["text"]),
        "text_equal": peaceful["text"] == disturbed["text"] and peaceful["segments"] == disturbed["segments"],
        "memory_peak_mb": round(max(memory) / 1e6),
        "memory_growth_mb": round(growth / 1e6),
        "memory_flat": growth <= FLAT_BYTES,
        "clip_p95_s": {name: round(value, 3) for name, value in p95.items()},
        "clips_within_twice": p95["beside"] < 2 * p95["idle"],
    }


def run(client: httpx.Client, sound: bytes, at: dict[float, Callable[[], object]]) -> tuple[dict[str, Any], float]:
    """One transcription to its end; calls each of `at` when so much has been heard."""
    begun = time.monotonic()
    answer = client.post(
        "/api/stt/transcribe",
        files={"file": ("hour.wav", sound)},
        data={"model": "whisper-base", "language": "en", "response_format": "verbose_json"},
    )
    if answer.status_code != 202:
        raise RuntimeError(f"{answer.status_code} {answer.text[:500]}")
    job_id = answer.json()["data"]["id"]
    waiting = sorted(at)
    while True:
        view = client.get(f"/api/stt/jobs/{job_id}").json()["data"]
        status, progress = view["job"]["status"], view["job"].get("progress") or {}
        share = progress.get("audio_s", 0) / max(1, progress.get("total_s", 0) or 0)
        if waiting and share >= waiting[0]:
            note(f"{share:.0%} heard after {time.monotonic() - begun:.0f} s")
            at[waiting.pop(0)]()
        if status in ("succeeded", "failed", "cancelled"):
            break
        time.sleep(0.5)
    if status != "succeeded":
        raise RuntimeError(json.dumps(view)[:1_000])
    found = {"job_id": job_id, "text": view["transcript"]["text"], "segments": view["transcript"]["segments"]}
    return found, time.monotonic() - begun


def hour_of(english: "np.ndarray[Any, np.dtype[np.float32]]", hours: float) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Speech and twenty seconds of silence, again and again."""
    silence = np.zeros(20 * RATE, np.float32)
    return np.resize(np.concatenate([english, silence]), round(hours * 3_600 * RATE))


def processes(platform: Platform) -> list[psutil.Process]:
    """The voice worker and its children."""
    child = next(child for child in platform.supervisor.children if child.name == "voice-cpu")
    try:
        worker = psutil.Process(child.pid or -1)
        return [worker, *worker.children(recursive=True)]
    except (psutil.NoSuchProcess, ValueError):
        return []


def kill(platform: Platform, what: str) -> str:
    """kill -9 of the worker, or of the engine that works most."""
    worker, *children = processes(platform)
    engines = [one for one in children if _MODULE in one.cmdline()]
    target = worker if what == "worker" else max(engines, key=lambda one: sum(one.cpu_times()[:2]))
    target.kill()
    note(f"killed the {what}")
    return what


@contextmanager
def restarting(platform: Platform) -> Iterator[None]:
    """What dies is started again, as `simorgh up` does."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            platform.supervisor.look()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def memory_of(platform: Platform) -> Iterator[list[int]]:
    """What the worker and its children hold together, sampled until the block ends."""
    found: list[int] = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(0.5):
            try:
                found.append(sum(one.memory_info().rss for one in processes(platform)))
            except psutil.NoSuchProcess:
                continue

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def note(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
