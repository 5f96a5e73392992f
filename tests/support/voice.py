"""A voice worker on a job engine: a Whisper in its registry, speech by eSpeak NG, jobs as the gateway makes them."""

import functools
import io
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import sqlalchemy as sa

from simorgh_shared.db.models import Transcript
from simorgh_shared.db.repositories import models
from simorgh_shared.db.repositories.models import NewModel
from simorgh_shared.domain.jobs import DesiredState, JobType, Lane, Queue
from simorgh_shared.queue import control
from simorgh_shared.queue.channels import NOTIFY_CONTROL
from simorgh_shared.queue.submit import notify
from simorgh_shared.storage.manifests import Entry
from tests.support.engine import Engine
from tests.support.sound import Sound, encoded
from tests.support.whispers import make_whisper_folder

RATE = 16_000
REAL_WHISPER = os.environ.get("SIMORGH_TEST_WHISPER")
"""A folder with a Whisper of CTranslate2's format, for tests that listen to what was really said."""


@dataclass(frozen=True)
class Voice:
    """An engine, and what its voice worker works with."""

    engine: Engine
    model_version_id: str

    def transcribe(self, audio: Path, lane: Lane = Lane.LONG, **spec: Any) -> str:
        """Submit a file as the gateway does."""
        blob = self.engine.store.put(self.engine.sessions, audio)
        asked = {
            "file_id": None,
            "name": audio.name,
            "sha256": blob.sha256,
            "bytes": blob.bytes,
            "model_version_id": self.model_version_id,
            "task": "transcribe",
            "language": "en",
            "prompt": None,
            "temperature": [0.0],
            "words": False,
            "vad": True,
            "short_audio_s": 30.0,
            "max_audio_s": 28_800.0,
        }
        return self.engine.submit(JobType.TRANSCRIBE, Queue.VOICE_CPU, asked | spec, lane=lane)

    def ask(self, job_id: str, desired: DesiredState) -> None:
        """What the user wants of a job."""
        with self.engine.sessions.begin() as session:
            control.request(session, self.engine.project_id, job_id, desired)
        notify(self.engine.engine, NOTIFY_CONTROL, job_id)

    def transcript(self, job_id: str) -> Transcript:
        """What was heard, with its segments."""
        with self.engine.sessions() as session:
            return session.get_one(Transcript, job_id, options=[sa.orm.undefer(Transcript.segments)])

    def kinds(self, job_id: str) -> list[str]:
        """The job's events by type, in order."""
        return [kind for _, kind, _ in self.engine.events(job_id)]

    def wait_groups(self, job_id: str, num_groups: int) -> None:
        """Wait until so many groups of a running job are finished."""

        def are_told() -> bool:
            job = self.engine.job(job_id)
            assert job.status in ("queued", "running"), (job.status, job.error)
            return self.kinds(job_id).count("transcribed") >= num_groups

        self.engine.wait(are_told, f"{num_groups} groups of {job_id} are finished")


def engines_of(worker_pid: int) -> dict[str, psutil.Process]:
    """The engines of a voice worker, by lane."""
    found = {}
    for child in psutil.Process(worker_pid).children():
        words = child.cmdline()
        if "simorgh_voice.engine" in words:
            found[words[words.index("--lane") + 1]] = child
    return found


def whisper_folder(folder: Path, seed: int = 0) -> Path:
    """A tiny Whisper of random weights, as CTranslate2 converts it."""
    source, made = make_whisper_folder(folder / "whisper", seed=seed), folder / "whisper-ct2"
    command = [
        *(f"{sysconfig.get_path('scripts')}/ct2-transformers-converter", "--model", str(source)),
        *("--output_dir", str(made), "--quantization", "int8"),
        *("--copy_files", "tokenizer.json", "preprocessor_config.json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


def register_whisper(engine: Engine, folder: Path, name: str = "whisper") -> str:
    """The id of a version that holds this folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = [Entry(str(path.relative_to(folder)), engine.store.put(engine.sessions, path)) for path in paths]
    traits = {"architecture": "whisper", "can": ["transcription", "translation"], "languages": []}
    new = NewModel(name, "speech", "ctranslate2", entries, {}, {}, None, traits)
    with engine.sessions.begin() as session:
        return models.register(session, engine.project_id, new).model_version_id


_SPEAK = """
import sys
import numpy as np
from simorgh_voice.engine import synthesis
voice = synthesis.load(f"espeak:{sys.argv[1]}", None, device="cpu", threads=1)
said = voice.speak(sys.argv[2], speed=1.0, pitch=1.0, is_cancelled=lambda: False)
np.savez(sys.stdout.buffer, samples=said.samples, rate=voice.sample_rate)
"""


@functools.cache
def spoken(text: str, language: str = "en") -> Sound:
    """What eSpeak NG says, at 16 kHz: (1, samples). Always the same bytes: its noise goes on from sentence to sentence,
    and begins alike in every process."""
    done = subprocess.run([sys.executable, "-c", _SPEAK, language, text], capture_output=True, check=True, timeout=60)
    said = np.load(io.BytesIO(done.stdout))
    samples = said["samples"]
    places = np.linspace(0, len(samples) - 1, round(len(samples) * RATE / int(said["rate"])))
    return np.interp(places, np.arange(len(samples)), samples).astype(np.float32)[np.newaxis]


def written(path: Path, sound: Sound) -> Path:
    """A FLAC file of it."""
    path.write_bytes(encoded(sound, RATE, "flac", "flac"))
    return path


def repeated(sound: Sound, seconds: float, pause_s: float = 0.7) -> Sound:
    """The sound again and again, with silence between, cut to a length."""
    once = np.concatenate([sound, np.zeros((1, round(pause_s * RATE)), np.float32)], axis=1)
    wanted = round(seconds * RATE)
    return np.tile(once, (1, wanted // once.shape[1] + 1))[:, :wanted]
