"""OpenAI's own client against the real gateway and a real voice worker: texts are spoken, and heard again (R-VOICE-7).

With SIMORGH_TEST_WHISPER, a folder with a real Whisper, what is heard is compared with what was said; else a Whisper of
random weights shows that all of the way works.
"""

import io
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import openai
import pytest
import srt
from schemathesis import GenerationMode

from simorgh_shared.persian.normaliser import normalise
from simorgh_shared.persian.scoring import word_error_rate
from tests.api.voice.hand import server_events
from tests.shared.audio.hostile_files import hostile_files
from tests.support.any_request import VOICE, operations, send_any
from tests.support.engine import Engine, running_engine
from tests.support.gateway import Account, Gateway
from tests.support.sound import Sound, browser_webm, encoded, safari_mp4, wav
from tests.support.stack import Bucket, Database
from tests.support.voice import RATE, REAL_WHISPER, repeated, spoken, whisper_folder

PERSIAN = "سلام. امروز هوا خوب است و ما به مدرسه می‌رویم. فردا هم می‌آییم."
ENGLISH = "The quick brown fox jumps over the lazy dog, and the river runs slowly to the sea."
SENTENCES = (
    "The old harbour wakes before the town does. Fishermen carry their nets across the wet stones and speak in low "
    "voices about the weather. Children stop at the bridge to count the ships that came in during the night."
)
FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")


@pytest.fixture(scope="module")
def engine(
    gateway: Gateway, database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Dispatcher and voice worker beside the gateway."""
    del gateway
    with running_engine(database, redis_url, bucket, tmp_path_factory.mktemp("engine")) as made:
        made.start_dispatcher()
        yield made


@pytest.fixture(scope="module")
def worker(engine: Engine) -> "subprocess.Popen[bytes]":
    return engine.start_voice("--queues", "voice.cpu")


@pytest.fixture(scope="module")
def account(
    worker: "subprocess.Popen[bytes]", sign_up: Callable[[], Account], tmp_path_factory: pytest.TempPathFactory
) -> Account:
    """Someone with a Whisper that was sent as users send it."""
    del worker
    made = sign_up()
    made.client.timeout = httpx.Timeout(120)
    folder = Path(REAL_WHISPER) if REAL_WHISPER else whisper_folder(tmp_path_factory.mktemp("model"))
    names = ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt", "vocabulary.json")
    files = [("files", (name, (folder / name).read_bytes())) for name in names if (folder / name).exists()]
    answer = made.client.post("/api/models/upload", files=files, data={"name": "whisper"})
    assert answer.json()["data"]["traits"]["can"] == ["transcription", "translation"], answer.text
    return made


@pytest.fixture(scope="module")
def client(gateway: Gateway, account: Account) -> Iterator[openai.OpenAI]:
    """OpenAI's own client."""
    url, key = f"{gateway.url}/v1", account.access_token
    with openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=240) as made:
        yield made


@pytest.fixture(scope="module")
def english() -> Sound:
    return spoken(ENGLISH)


def flac(sound: Sound) -> tuple[str, bytes]:
    return "clip.flac", encoded(sound, RATE, "flac", "flac")


def duration_s(data: bytes, form: str) -> float:
    """How long audio is, by decoding it."""
    if form == "pcm":
        return len(data) / 2 / 24_000
    with av.open(io.BytesIO(data)) as file:
        rate = file.streams.audio[0].rate
        return sum(frame.samples for frame in file.decode(audio=0)) / rate


def assert_heard(text: str, said: str = ENGLISH) -> None:
    """Where a real Whisper listened, most words are those that were said."""
    if REAL_WHISPER:
        theirs, ours = (set(normalise(one).lower().replace(",", "").replace(".", "").split()) for one in (text, said))
        assert len(theirs & ours) > 0.7 * len(ours), text


class TestJourney:
    def test_what_is_spoken_is_heard(self, client: openai.OpenAI) -> None:
        """R-VOICE-1, R-VOICE-2: Persian, by the voice that is there without any model."""
        speech = client.audio.speech.create(model="tts-1", voice="alloy", input=PERSIAN)
        heard = client.audio.transcriptions.create(
            model="whisper-1", file=("speech.mp3", speech.content), language="fa"
        )
        assert heard.text.strip()
        assert heard.usage is not None
        assert heard.usage.seconds == pytest.approx(duration_s(speech.content, "mp3"), abs=0.2)

    def test_a_streamed_speech_is_the_same(self, client: openai.OpenAI, tmp_path: Path) -> None:
        """R-VOICE-2: first audio long before the last."""
        asked: dict[str, Any] = {"model": "espeak", "voice": "fa", "input": PERSIAN, "response_format": "wav"}
        with client.audio.speech.with_streaming_response.create(**asked) as answer:
            answer.stream_to_file(tmp_path / "streamed.wav")
        whole = duration_s(client.audio.speech.create(**asked).content, "wav")
        streamed = duration_s((tmp_path / "streamed.wav").read_bytes(), "wav")
        assert streamed == pytest.approx(whole, rel=0.02)
        assert streamed > 3


class TestSpeech:
    @pytest.mark.parametrize("form", FORMATS)
    def test_each_format_decodes_to_its_length(self, account: Account, form: str) -> None:
        """R-VOICE-2: as the job says, within 5 %; the finished file is the same speech."""
        answer = account.client.post("/api/tts/synthesize", json={"text": ENGLISH, "format": form})
        assert answer.status_code == 200, answer.text
        job = account.client.get("/api/jobs", params={"type": "synthesize", "limit": 1}).json()["data"][0]
        assert job["status"] == "succeeded"
        length_s = job["result"]["duration_s"]
        assert duration_s(answer.content, form) == pytest.approx(length_s, rel=0.05)
        audio = account.client.get(f"/api/tts/jobs/{job['id']}/audio")
        assert duration_s(audio.content, form) == pytest.approx(length_s, rel=0.05)

    @pytest.mark.skipif(not REAL_WHISPER, reason="SIMORGH_TEST_WHISPER names no Whisper")
    @pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac", "wav"])
    def test_what_was_spoken_is_heard_in_each_format(self, client: openai.OpenAI, form: str) -> None:
        """R-VOICE-2: base Whisper hears the English that it was sent, with a WER of at most 0.2."""
        asked: dict[str, Any] = {"model": "tts-1", "voice": "espeak:en", "input": SENTENCES, "response_format": form}
        speech = client.audio.speech.create(**asked)
        heard = client.audio.transcriptions.create(model="whisper", file=(f"a.{form}", speech.content), language="en")
        assert word_error_rate(SENTENCES, heard.text) <= 0.2, heard.text

    def test_speed(self, client: openai.OpenAI) -> None:
        """R-VOICE-2: twice as fast is half as long."""
        slow, fast = (
            client.audio.speech.create(model="tts-1", voice="espeak:en", input=ENGLISH, response_format="pcm", speed=x)
            for x in (1.0, 2.0)
        )
        assert len(fast.content) / len(slow.content) == pytest.approx(0.5, abs=0.12)


class TestTranscriptions:
    def test_verbose_json(self, client: openai.OpenAI, english: Sound) -> None:
        """R-VOICE-1: times of segments and words grow within the clip; the texts are one text."""
        heard = client.audio.transcriptions.create(
            model="whisper",
            file=flac(english),
            language="en",
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
            temperature=0,
            chunking_strategy="auto",
        )
        length_s = english.shape[1] / RATE
        assert (heard.language, heard.duration) == ("english", pytest.approx(length_s, abs=0.05))
        assert heard.segments is not None
        assert heard.words is not None
        for times in (heard.segments, heard.words):
            starts = [one.start for one in times]
            assert starts == sorted(starts)
            assert all(0 <= one.start <= one.end <= length_s + 0.5 for one in times)
        assert " ".join(one.text for one in heard.segments) == heard.text
        assert_heard(heard.text)

    def test_subtitles_hold_the_same_text(self, client: openai.OpenAI, english: Sound) -> None:
        """R-VOICE-1: as plain bodies."""
        asked: dict[str, Any] = {"model": "whisper", "file": flac(english), "language": "en"}
        text = str(client.audio.transcriptions.create(**asked, response_format="text")).strip()
        cues = list(srt.parse(str(client.audio.transcriptions.create(**asked, response_format="srt"))))
        vtt = str(client.audio.transcriptions.create(**asked, response_format="vtt"))
        assert " ".join(" ".join(cue.content for cue in cues).split()) == " ".join(text.split())
        assert vtt.startswith("WEBVTT\n")
        assert vtt.count("-->") == len(cues)

    def test_a_stream(self, client: openai.OpenAI, english: Sound) -> None:
        """R-VOICE-1: the deltas after each other are the text."""
        events = list(
            client.audio.transcriptions.create(model="whisper", file=flac(english), language="en", stream=True)
        )
        *deltas, done = events
        assert done.type == "transcript.text.done"
        assert "".join(event.delta for event in deltas if event.type == "transcript.text.delta") == done.text
        assert_heard(done.text)

    def test_a_translation(self, client: openai.OpenAI) -> None:
        """R-VOICE-1: in English, as OpenAI says."""
        file = flac(spoken(PERSIAN, "fa"))
        with pytest.warns(
            DeprecationWarning, match="deprecated"
        ):  # their client tells that OpenAI's own models of it will go
            heard = client.audio.translations.create(model="whisper", file=file, response_format="verbose_json")
        assert (heard.language, heard.duration > 2) == ("english", True)
        if REAL_WHISPER:
            assert all(ord(char) < 0x250 for char in heard.text), heard.text

    @pytest.mark.parametrize(("name", "make"), [("recording.webm", browser_webm), ("recording.mp4", safari_mp4)])
    def test_what_browsers_record(
        self, client: openai.OpenAI, account: Account, name: str, make: Callable[[float], bytes], english: Sound
    ) -> None:
        """R-VOICE-7: opus in webm without a length, and aac in fragmented mp4."""
        heard = client.audio.transcriptions.create(
            model="whisper-1", file=(name, make(3.0)), language="en", response_format="verbose_json"
        )
        assert heard.duration == pytest.approx(3.0, abs=0.15)
        said = _recorded(english, name)
        answer = account.client.post("/api/stt/transcribe", files={"file": (name, said)}, data={"language": "en"})
        assert answer.status_code == 200, answer.text
        assert_heard(answer.json()["data"]["text"])

    def test_silence_is_an_empty_text(self, client: openai.OpenAI) -> None:
        """R-VOICE-7: 200."""
        silence = np.zeros((1, 5 * RATE), np.float32)
        assert client.audio.transcriptions.create(model="whisper", file=flac(silence)).text == ""

    @pytest.mark.parametrize(
        ("name", "data", "status"),
        [
            ("empty.wav", wav(b""), 400),
            ("cut.flac", b"fLaC" + bytes(50), 400),
            ("page.mp3", b"<html><body>not a sound</body></html>" * 100, 415),
            ("archive.wav", b"PK\x03\x04" + bytes(3_000), 415),
        ],
    )
    def test_what_is_no_audio(self, client: openai.OpenAI, name: str, data: bytes, status: int) -> None:
        """R-VOICE-7: a clear 4xx."""
        with pytest.raises(openai.APIStatusError) as refused:
            client.audio.transcriptions.create(model="whisper", file=(name, data))
        assert refused.value.status_code in (400, 415), refused.value
        assert str(refused.value.code).startswith("audio_")
        assert refused.value.status_code == status, refused.value

    def test_hostile_files(self, account: Account, worker: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
        """R-VOICE-7: each is refused with a code or heard, the worker lives, and nothing outside was touched."""
        secret = tmp_path / "canary.txt"
        secret.write_text("the canary sings")
        with socket.create_server(("127.0.0.1", 0)) as canary:
            canary.settimeout(0)
            port = canary.getsockname()[1]
            for hostile in hostile_files():
                data = hostile.make(str(secret), port)
                answer = account.client.post("/api/stt/transcribe", files={"file": ("sound.mp3", data)})
                told = (hostile.name, answer.status_code, answer.text[:200])
                assert "the canary sings" not in answer.text, told
                if answer.status_code in (200, 202):
                    assert hostile.heard_s is not None, told
                else:
                    assert answer.status_code in (400, 413, 415), told
                    assert answer.json()["code"] in (*hostile.codes, "file_empty"), told
            with pytest.raises(BlockingIOError):
                canary.accept()
        assert worker.poll() is None


class TestLongFiles:
    def test_a_minute_is_a_job_whose_text_grows(self, account: Account, engine: Engine, english: Sound) -> None:
        """R-VOICE-4, R-VOICE-7: 202 as soon as the worker has looked at it."""
        file = flac(repeated(english, 70.0))
        answer = account.client.post("/api/stt/transcribe", files={"file": file}, data={"language": "en"})
        assert answer.status_code == 202, answer.text
        job_id, place = answer.json()["data"]["id"], answer.headers["location"]
        engine.wait_status(job_id, "succeeded", "failed", within_s=240)
        found = account.client.get(place, params={"format": "verbose_json"}).json()["data"]
        assert found["job"]["status"] == "succeeded", found["job"]["error"]
        assert found["transcript"]["duration_s"] == pytest.approx(70.0, abs=0.1)
        assert len(found["transcript"]["segments"]) >= 3
        assert_heard(found["transcript"]["text"])

    def test_a_stream_is_not_cut(self, account: Account, english: Sound) -> None:
        """R-VOICE-1: however long the file is."""
        file = flac(repeated(english, 45.0))
        fields = {"language": "en", "stream": "true"}
        with account.client.stream("POST", "/api/stt/transcribe", files={"file": file}, data=fields) as answer:
            events = list(server_events(answer.iter_lines()))
        assert events[0][0] == "start"
        assert (events[-1][0], json.dumps(events[-1][1])[:200]) == ("done", json.dumps(events[-1][1])[:200])
        segments = [one for name, data in events if name == "segments" for one in data["segments"]]
        assert [one["id"] for one in segments] == list(range(len(segments)))
        assert " ".join(one["text"] for one in segments) == events[-1][1]["text"]


class TestAnyRequest:
    @pytest.mark.parametrize(("operation", "mode"), operations(*VOICE))
    def test_none_is_a_fault_of_the_server(self, account: Account, operation: str, mode: GenerationMode) -> None:
        """R-API-3: good requests and bad ones, of schemathesis's making."""
        model = "tts-1" if operation.endswith("speech") else "whisper"
        real = {"model": model, "voice": "alloy", "language": "en", "file": wav(bytes(RATE))}
        statuses = send_any(account, operation, mode, real)
        assert mode is GenerationMode.NEGATIVE or 200 in statuses


def _recorded(sound: Sound, name: str) -> bytes:
    """Speech as a browser records it."""
    loud = np.repeat(sound, 3, axis=1)  # 48 kHz
    if name.endswith("webm"):
        return encoded(loud, 48_000, "webm", "libopus", options={"live": "1"}, is_seekable=False)
    flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    return encoded(loud, 48_000, "mp4", "aac", options=flags, is_seekable=False)
