"""make bench-voice: hearing and speaking through the API beside the libraries that users would take instead.

    python benchmarks/voice.py --whisper FOLDER --peers PYTHON [--seconds N]

FOLDER holds the base Whisper of `make voice-models`; all peers run on its weights. Ours is what a client waits for:
upload, decoding, silence, job, answer. Each peer is a process of its own, loaded and warm before the first round. What
is heard is speech of eSpeak NG: two minutes and five seconds of English; a few Persian sentences are scored as well.
VITS has random weights of MMS's size (it speaks noise, and works as hard), so that speaking is compared by seconds of
work for a second of audio.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from measuring import quiet_torch, report, run_rounds

from simorgh_cli.platform import running_platform
from simorgh_cli.processes import SERVICES
from simorgh_shared.persian.scoring import character_error_rate, word_error_rate

HERE = Path(__file__).parent
RATE = 16_000
LONG_S = 120
CLIP_S = 5
ENGLISH = (
    "The old harbour wakes before the town does, and the first boats leave while the street lamps are still burning.",
    "Fishermen carry their nets across the wet stones and speak in low voices about the weather and the price of fuel.",
    "A baker opens his window, and the smell of warm bread drifts slowly over the water.",
    "Children on their way to school stop at the bridge to count the ships that came in during the night.",
    "By noon the market is loud and full of colour, with oranges from the south and cheese from the mountains.",
    "An old woman sells honey in small glass jars and tells everyone which flowers her bees have visited.",
    "The museum on the hill keeps maps that sailors drew by hand more than four hundred years ago.",
    "Some of them show islands that nobody has ever found again, and sea monsters in the empty corners.",
    "In the afternoon the wind turns, the flags point towards the land, and the sky begins to darken.",
    "A ferry sounds its horn twice, and people hurry down the steps with bags and bicycles.",
    "When the rain finally comes, the whole square empties within a minute, and only the pigeons remain.",
    "The library stays open until late, and students sit between tall shelves and read by green lamps.",
    "Someone plays the piano in a house near the church, always the same song, always a little too fast.",
    "After supper the families walk along the wall and watch the lighthouse turn its slow white beam.",
    "The last train brings workers home from the city, tired and quiet, with newspapers under their arms.",
    "Then the harbour falls asleep again, and only the ropes and the water talk to each other.",
)
PERSIAN = (
    "امروز هوا آفتابی است و مردم در پارک قدم می‌زنند.",
    "کتاب خوب بهترین دوست انسان است.",
    "ما فردا با قطار به شهر اصفهان می‌رویم.",
    "مادرم هر روز صبح نان تازه می‌خرد.",
    "زبان فارسی زبانی شیرین و کهن است.",
    "دانش‌آموزان در کلاس به سخنان معلم گوش می‌دهند.",
)


class Peer:
    """A library in a process of its own."""

    def __init__(self, python: str, name: str, folder: Path) -> None:
        self._name = name
        command = [python, str(HERE / "peers" / "speech.py"), name, str(folder)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=quiet_torch(os.environ) | {"HF_HUB_OFFLINE": "1"},
        )
        if self._readline() != "ready":
            raise RuntimeError(f"{name} did not start")

    def do(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """One task."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._readline())
        return answer

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def _readline(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} ended with {self._process.wait()}")
        return line.strip()


class Ours:
    """The platform as a client sees it."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def hear(self, sound: bytes, language: str) -> dict[str, Any]:
        """Upload a file and wait for its text."""
        begun = time.perf_counter()
        answer = self._client.post(
            "/v1/audio/transcriptions",
            files={"file": ("speech.wav", sound)},
            data={"model": "whisper-base", "language": language},
        )
        _require(answer)
        return {"seconds": time.perf_counter() - begun, "text": answer.json()["text"]}

    def speak(self, text: str, voice: str) -> tuple[bytes, float, float]:
        """WAV, when it was there, and when its first sound was."""
        body = {"input": text, "voice": voice, "model": "tts-1", "response_format": "wav"}
        begun = time.perf_counter()
        first_s, chunks = 0.0, []
        with self._client.stream("POST", "/v1/audio/speech", json=body) as answer:
            if answer.status_code != 200:
                answer.read()
                _require(answer)
            num_bytes = 0
            for chunk in answer.iter_raw():
                num_bytes += len(chunk)
                first_s = first_s or (time.perf_counter() - begun if num_bytes > _HEADER_BYTES else 0.0)
                chunks.append(chunk)
        return b"".join(chunks), time.perf_counter() - begun, first_s


_HEADER_BYTES = 1_000


def _require(answer: httpx.Response) -> None:
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.request.url.path}: {answer.status_code} {answer.text[:1_000]}")


def samples_of(sound: bytes) -> np.ndarray[Any, np.dtype[np.float32]]:
    """16 kHz mono, by whole-number decimation or linear interpolation: all hear the same."""
    rate = int.from_bytes(sound[24:28], "little")
    data = np.frombuffer(sound[44:], "<i2").astype(np.float32) / 32_768
    at = np.arange(0, len(data) - 1, rate / RATE)
    return np.interp(at, np.arange(len(data)), data).astype(np.float32)


def wav_of(samples: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    """The same as a file for a client."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    return buffer.getvalue()


def make_vits(folder: Path) -> Path:
    """Random weights of MMS's size, with its files."""
    import torch
    from transformers import VitsConfig, VitsModel

    letters = " ءآئابتثجحخدذرزسشصضطظعغفقلمنهوپچژکگی"
    torch.manual_seed(0)
    config = VitsConfig(vocab_size=len(letters) + 1, use_stochastic_duration_prediction=False)
    VitsModel(config).save_pretrained(folder)
    numbers = {"<pad>": 0} | {letter: number for number, letter in enumerate(letters, 1)}
    (folder / "vocab.json").write_text(json.dumps(numbers, ensure_ascii=False), encoding="utf-8")
    told = {"tokenizer_class": "VitsTokenizer", "language": "fas", "add_blank": True, "normalize": True}
    told |= {"phonemize": False, "is_uroman": False, "pad_token": "<pad>", "unk_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whisper", type=Path, required=True)
    parser.add_argument("--peers", required=True, help="a Python that has openai-whisper")
    parser.add_argument("--seconds", type=float, default=200)
    arguments = parser.parse_args()
    wanted = [service for service in SERVICES if service.name in ("api", "dispatcher", "voice-cpu")]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="simorgh-bench-")))
        given = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
        platform = stack.enter_context(running_platform(folder / "data", given, lambda text: None, wanted))
        client = stack.enter_context(signed_up(platform.api_url))
        vits = make_vits(folder / "vits")
        upload(client, arguments.whisper, "whisper-base")
        upload(client, vits, "vits-random")
        peers = {}
        for name in (
            "openai_whisper",
            "transformers_whisper",
            "faster_whisper",
            "faster_whisper_batched",
            "vits_eager",
        ):
            python = arguments.peers if name == "openai_whisper" else sys.executable
            peers[name] = Peer(python, name, vits if name == "vits_eager" else arguments.whisper)
            stack.callback(peers[name].close)
        measure(Ours(client), peers, folder, arguments.seconds)


def signed_up(url: str) -> httpx.Client:
    """A client of a new account."""
    body = {"email": "bench@example.test", "password": "correct horse battery", "name": "Bench"}
    token = httpx.post(f"{url}/api/auth/register", json=body).raise_for_status().json()["data"]["access_token"]
    return httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=300)


def upload(client: httpx.Client, folder: Path, name: str) -> None:
    """Send a model's folder."""
    files = [("files", (path.name, path.read_bytes())) for path in sorted(folder.iterdir()) if path.is_file()]
    answer = client.post("/api/models/upload", files=files, data={"name": name})
    if answer.is_error:
        raise RuntimeError(answer.text[:1_000])


def measure(ours: Ours, peers: Mapping[str, Peer], folder: Path, seconds: float) -> None:
    """Interleave all, after a turn of each that is not counted."""
    english = samples_of(ours.speak(" ".join(ENGLISH), "espeak:en")[0])
    long = np.resize(english, LONG_S * RATE)
    clip = english[: CLIP_S * RATE]
    np.save(folder / "long.npy", long)
    np.save(folder / "clip.npy", clip)
    sounds = {"long": wav_of(long), "clip": wav_of(clip)}
    first_s: list[float] = []

    def hear(which: str) -> Callable[[], float]:
        return lambda: float(ours.hear(sounds[which], "en")["seconds"])

    def peer_hears(name: str, which: str) -> Callable[[], float]:
        task = {"samples": str(folder / f"{which}.npy"), "language": "en"}
        return lambda: float(peers[name].do(task)["seconds"])

    def speak() -> float:
        sound, taken_s, first = ours.speak(" ".join(PERSIAN), "vits-random")
        first_s.append(first)
        return taken_s / (len(samples_of(sound)) / RATE)

    sentence_s: list[float] = []

    def peer_speaks() -> float:
        answer = peers["vits_eager"].do({"sentences": PERSIAN})
        sentence_s.append(float(answer["first_s"]))
        return float(answer["seconds"]) / float(answer["audio_s"])

    variants = {
        "simorgh, 2 minutes": hear("long"),
        "openai-whisper": peer_hears("openai_whisper", "long"),
        "transformers": peer_hears("transformers_whisper", "long"),
        "faster-whisper batched": peer_hears("faster_whisper_batched", "long"),
        "simorgh, 5 s": hear("clip"),
        "faster-whisper, 5 s": peer_hears("faster_whisper", "clip"),
        "simorgh speaks": speak,
        "vits eager": peer_speaks,
    }
    for name in ("simorgh, 5 s", "simorgh speaks", "vits eager", "faster-whisper, 5 s", "simorgh, 2 minutes"):
        variants[name]()
    for name in ("openai_whisper", "transformers_whisper", "faster_whisper_batched"):
        peer_hears(name, "clip")()
    first_s.clear()
    sentence_s.clear()
    rounds = run_rounds(variants, seconds)
    ratios = {
        "vs_openai_whisper": rounds.ratio("openai-whisper", "simorgh, 2 minutes"),
        "vs_transformers": rounds.ratio("transformers", "simorgh, 2 minutes"),
        "time_by_bare_batched": rounds.ratio("simorgh, 2 minutes", "faster-whisper batched"),
        "time_of_clip_by_bare": rounds.ratio("simorgh, 5 s", "faster-whisper, 5 s"),
        "speaks_vs_eager": rounds.ratio("vits eager", "simorgh speaks"),
        "first_sound_by_eager_sentence": float(np.median(np.array(first_s) / np.array(sentence_s))),
        "english_wer": english_wer(ours, english),
        "persian_cer": persian_cer(ours),
    }
    goals = {
        "vs_openai_whisper": (">=", 2.3),
        "time_by_bare_batched": ("<=", 1.1),
        "time_of_clip_by_bare": ("<=", 1.3),
        "speaks_vs_eager": (">=", 1.6),
        "first_sound_by_eager_sentence": ("<=", 1.0),
        "english_wer": ("<=", 0.10),
        "persian_cer": ("<=", 0.6),
    }
    notes = {"speaking": "seconds of work for a second of audio", "peers_wer": peers_wer(peers, folder, english)}
    report("voice", "s (lower is quicker)", rounds, ratios, goals, notes)


def english_wer(ours: Ours, english: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    """Of all sentences once."""
    return word_error_rate(" ".join(ENGLISH), ours.hear(wav_of(english), "en")["text"])


def persian_cer(ours: Ours) -> float:
    """Of the Persian sentences."""
    spoken = samples_of(ours.speak(" ".join(PERSIAN), "espeak:fa")[0])
    return character_error_rate(" ".join(PERSIAN), ours.hear(wav_of(spoken), "fa")["text"])


def peers_wer(
    peers: Mapping[str, Peer], folder: Path, english: np.ndarray[Any, np.dtype[np.float32]]
) -> dict[str, float]:
    """The same of the peers: a quick one that hears badly would be no peer."""
    np.save(folder / "english.npy", english)
    task = {"samples": str(folder / "english.npy"), "language": "en"}
    names = ("openai_whisper", "transformers_whisper", "faster_whisper_batched")
    return {name: round(word_error_rate(" ".join(ENGLISH), peers[name].do(task)["text"]), 3) for name in names}


if __name__ == "__main__":
    main()
