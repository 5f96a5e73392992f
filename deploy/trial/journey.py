"""What a newcomer does, against a platform of containers: by the command line and OpenAI's stock client alone."""

import hashlib
import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from openai import OpenAI

from simorgh_cli.environment import script
from simorgh_shared.datasets.sample import write_sample

# Small enough for minutes on two processors, saved often enough that a kill falls between two saves.
TRAINING = {
    "method": "pretrain",
    "vocab_size": 512,
    "batch_size": 4,
    "sequence_length": 64,
    "max_steps": 60,
    "epochs": 50,
    "eval_steps": 30,
    "save_steps": 10,
    "logging_steps": 5,
    "keep": "last",
    "seed": 7,
}
_ENDED = {"succeeded", "failed", "cancelled"}
_RUN_TIMEOUT_S = 600.0
_WHISPER = "base"
_CHAT_TRIES = 5


@dataclass
class Traveller:
    """Somebody with the command line, an address, and a folder of their own."""

    url: str
    folder: Path
    api_key: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.environment = dict(os.environ) | {
            "XDG_CONFIG_HOME": str(self.folder),
            "SIMORGH_PASSWORD": secrets.token_urlsafe(12),
            "SIMORGH_URL": self.url,
        }

    def says(self, *words: str) -> str:
        """What `simorgh` answers to these words.

        Raises: RuntimeError with what it complained about.
        """
        done = subprocess.run(
            [script("simorgh"), *words],
            env=self.environment,
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"simorgh {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip()

    def told(self, *words: str) -> Any:
        """The same as JSON."""
        return json.loads(self.says(*words, "--json"))

    def client(self) -> OpenAI:
        """OpenAI's own client on the platform's address."""
        return OpenAI(base_url=f"{self.url}/v1", api_key=self.api_key, timeout=180.0)


def sign_in(traveller: Traveller) -> None:
    """Register, and make a key for other clients."""
    traveller.says("login", "--email", "newcomer@simorgh.example", "--name", "Newcomer")
    answer = httpx.post(
        f"{traveller.url}/api/auth/login",
        json={"email": "newcomer@simorgh.example", "password": traveller.environment["SIMORGH_PASSWORD"]},
    )
    token = answer.raise_for_status().json()["data"]["access_token"]
    made = httpx.post(
        f"{traveller.url}/api/keys",
        headers={"Authorization": f"Bearer {token}"},
        json={"name": "trial", "scopes": ["write"]},
    )
    traveller.api_key = str(made.raise_for_status().json()["data"]["key"])


def upload(traveller: Traveller) -> None:
    """The sample dataset."""
    data = write_sample(traveller.folder / "sample")
    traveller.says("datasets", "upload", str(data.train_path), "--test", str(data.test_path), "--name", "sample-fa")


def start(traveller: Traveller, name: str) -> str:
    """Start a run; its id."""
    words = [word for key, value in TRAINING.items() for word in ("--set", f"{key}={value}")]
    return str(traveller.told("train", "start", "--dataset", "sample-fa", "--name", name, *words)["runId"])


def state(traveller: Traveller, run_id: str) -> dict[str, Any]:
    """How a run stands. While a database restarts the answer may be that it does: ask again."""
    deadline = time.monotonic() + 60.0
    while True:
        try:
            found: dict[str, Any] = traveller.told("train", "show", run_id)
            return found
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1.0)


def wait(traveller: Traveller, run_id: str, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait for a state of a run.

    Raises: RuntimeError where it ends in another one or takes too long.
    """
    deadline = time.monotonic() + _RUN_TIMEOUT_S
    while time.monotonic() < deadline:
        found = state(traveller, run_id)
        if reached(found):
            return found
        if found["phase"] in _ENDED:
            raise RuntimeError(f"the run is {found['phase']}: {found.get('error')}")
        time.sleep(0.5)
    raise RuntimeError(f"the run {run_id} has not come so far in {_RUN_TIMEOUT_S:.0f} s")


def finish(traveller: Traveller, run_id: str) -> str:
    """Wait until a run has succeeded; its model."""
    return str(wait(traveller, run_id, lambda found: bool(found["phase"] == "succeeded"))["modelId"])


def weights(traveller: Traveller, model: str) -> str:
    """The hash of a model's weights, as the signed manifest gives it and a download proves it."""
    folder = traveller.folder / f"model-{model}"
    traveller.says("models", "download", model, str(folder))
    return digest(folder / "model.safetensors")


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def chat(traveller: Traveller, model: str) -> str:
    """One question by the command line and one, streamed, by OpenAI's client; the latter's answer."""
    if not traveller.says("chat", model, "--message", "سلام", "--max-tokens", "24"):
        raise RuntimeError("the chat of the command line said nothing")
    client, answer = traveller.client(), ""
    for seed in range(_CHAT_TRIES):  # so short a training may end an answer with its first word
        parts = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "سلام"}], max_tokens=24, seed=seed, stream=True
        )
        answer = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
        if answer.strip():
            return answer.strip()
    raise RuntimeError("the streams of OpenAI's client brought nothing")


def speak(traveller: Traveller) -> int:
    """One sentence spoken, by both clients; the bytes of the latter's sound."""
    spoken = traveller.folder / "spoken.wav"
    traveller.says("speak", "سلام، این یک آزمایش است.", "--output", str(spoken))
    sound = traveller.client().audio.speech.create(
        model="espeak", voice="espeak:fa", input="سلام دنیا", response_format="wav"
    )
    content = sound.read()
    if spoken.read_bytes()[:4] != b"RIFF" or content[:4] != b"RIFF":
        raise RuntimeError("what was spoken is no sound")
    return len(content)


def hear(traveller: Traveller, whisper: Path) -> str:
    """What a Whisper model hears of the sentence that was spoken."""
    traveller.says("models", "upload", str(whisper), "--name", f"whisper-{_WHISPER}")
    with (traveller.folder / "spoken.wav").open("rb") as sound:
        heard = traveller.client().audio.transcriptions.create(model=f"whisper-{_WHISPER}", file=sound, language="fa")
    if not heard.text.strip():
        raise RuntimeError("nothing was heard")
    return heard.text.strip()
