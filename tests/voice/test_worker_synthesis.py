"""The voice worker with real processes: texts become speech, told part by part."""

import io
import os
from collections.abc import Iterator

import av
import psutil
import pytest
import sqlalchemy as sa

from simorgh_shared.db.models import Blob, File
from simorgh_shared.domain.jobs import DesiredState, JobType, Lane, Queue
from simorgh_shared.queue import control
from simorgh_shared.queue.channels import NOTIFY_CONTROL
from simorgh_shared.queue.submit import notify
from simorgh_shared.storage.blobs import StoredBlob
from tests.support.engine import Engine, running_engine
from tests.support.stack import Bucket, Database

TEXT = "سلام. این یک آزمایش است. امروز هوا خوب است."


@pytest.fixture(scope="module")
def engine(
    database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    with running_engine(database, redis_url, bucket, tmp_path_factory.mktemp("voice")) as made:
        made.start_dispatcher()
        made.start_voice("--queues", "voice.cpu")
        yield made


def speak(engine: Engine, text: str = TEXT, lane: Lane = Lane.SHORT, **spec: object) -> str:
    asked = {"text": text, "language": "fa", "voice": "espeak:fa", "voice_name": "espeak:fa", "format": "wav"} | spec
    return engine.submit(JobType.SYNTHESIZE, Queue.VOICE_CPU, asked, lane=lane)


def content(engine: Engine, sha256: str) -> bytes:
    with engine.sessions() as session:
        blob = session.get_one(Blob, sha256)
        return b"".join(engine.store.read(StoredBlob(blob.sha256, blob.bytes, blob.key)))


class TestSynthesis:
    def test_a_text_becomes_a_file_of_the_project(self, engine: Engine) -> None:
        """R-VOICE-2: the speech is a file that PyAV reads, as long as the job says."""
        job = engine.wait_status(speak(engine), "succeeded", "failed", within_s=60)
        assert job.status == "succeeded", job.error
        assert job.result is not None
        with engine.sessions() as session:
            file = session.get_one(File, job.result["file_id"])
        assert (file.purpose, file.project_id, file.bytes) == ("speech", engine.project_id, job.result["bytes"])
        with av.open(io.BytesIO(content(engine, file.sha256))) as container:
            num_samples = sum(frame.samples for frame in container.decode(audio=0))
        assert num_samples / job.result["sample_rate"] == pytest.approx(job.result["duration_s"], rel=0.05)
        assert job.progress["audio_s"] == pytest.approx(job.result["duration_s"], abs=0.1)

    def test_its_parts_are_stored_and_told_as_they_come(self, engine: Engine) -> None:
        """R-VOICE-2: the first sentence is heard before the last is spoken; the parts are the stream."""
        job = engine.wait_status(speak(engine, format="pcm"), "succeeded", "failed", within_s=60)
        assert job.result is not None
        parts = [payload for _, kind, payload in engine.events(job.id) if kind == "part"]
        assert [part["number"] for part in parts] == list(range(job.result["num_parts"]))
        assert len(parts) >= 3
        stream = b"".join(content(engine, part["sha256"]) for part in parts)
        assert stream == content(engine, job.result["sha256"])
        assert all(part["bytes"] and "path" not in part for part in parts)

    def test_a_refusal_is_told_in_a_sentence_and_not_tried_again(self, engine: Engine) -> None:
        """R-VOICE-2: an unknown voice."""
        job = engine.wait_status(speak(engine, voice="espeak:tlh"), "failed", "succeeded", within_s=60)
        assert (job.status, job.attempt) == ("failed", 1)
        assert job.error is not None
        assert job.error["code"] == "speech_voice_unknown"


class TestEngines:
    def test_each_lane_has_an_engine_of_its_own_that_stays_warm(self, engine: Engine) -> None:
        """Architecture 2 and 8: the long one gives way to all else; neither sees a credential."""
        for lane in (*Lane, *Lane):
            assert engine.wait_status(speak(engine, lane=lane), "succeeded", "failed").status == "succeeded"
        engines = engines_of(engine)
        assert set(engines) == {"short", "long"}
        assert [os_policy(engines[lane].pid) for lane in ("short", "long")] == [0, 5]  # SCHED_OTHER, SCHED_IDLE
        for process in engines.values():
            assert not [name for name in process.environ() if "URL" in name or "SECRET" in name or "KEY" in name]

    def test_one_that_dies_while_idle_is_started_again(self, engine: Engine) -> None:
        """R-VOICE-1: and no job notices."""
        engine.wait_status(speak(engine), "succeeded")
        killed = engines_of(engine)["short"]
        killed.kill()
        killed.wait(10)
        job = engine.wait_status(speak(engine), "succeeded", "failed")
        assert (job.status, job.attempt) == ("succeeded", 1)
        assert engines_of(engine)["short"].pid != killed.pid

    def test_the_worker_itself_loads_none_of_what_engines_load(self, engine: Engine) -> None:
        """Architecture 2: light while idle."""
        worker = psutil.Process(engine.processes[1].pid)
        maps = {mapped.path.rsplit("/", 1)[-1] for mapped in worker.memory_maps()}
        assert not [name for name in maps if name.startswith(("libtorch", "libav", "libctranslate2", "_multiarray"))]
        assert worker.memory_info().rss < 160e6

    def test_a_lost_engine_costs_one_attempt(self, engine: Engine) -> None:
        """R-VOICE-1: kill -9 in the middle of a text; the job is spoken anew, and the worker lives."""
        job_id = speak(engine, TEXT * 400, lane=Lane.LONG)
        engine.wait(lambda: len(engine.events(job_id)) > 4, "parts have come")
        engines_of(engine)["long"].kill()
        engine.wait(lambda: engine.job(job_id).attempt == 2, "another attempt begins")
        ask(engine, job_id, DesiredState.CANCEL)
        job = engine.wait_status(job_id, "cancelled", "succeeded")
        assert job.status == "cancelled"
        with engine.sessions() as session:
            query = sa.text("SELECT outcome, signal FROM attempts WHERE job_id = :id AND attempt = 1")
            assert session.execute(query, {"id": job_id}).one().outcome == "crashed"
        assert engine.processes[1].poll() is None

    def test_a_text_that_ends_engines_is_given_up_and_the_worker_goes_on(self, engine: Engine) -> None:
        """R-VOICE-1: three attempts, a sentence that says how it ended, and the next text is spoken."""
        job_id = speak(engine, TEXT * 400, lane=Lane.LONG)
        for attempt in (1, 2, 3):
            engine.wait(lambda attempt=attempt: num_parts(engine, job_id, attempt) > 0, f"attempt {attempt} speaks")
            engines_of(engine)["long"].kill()
        job = engine.wait_status(job_id, "failed", "succeeded")
        assert job.error is not None
        assert (job.error["code"], job.failures_in_row) == ("child_crashed", 3)
        assert "signal 9 3 times in a row" in job.error["message"]
        assert engine.wait_status(speak(engine, lane=Lane.LONG), "succeeded", "failed").status == "succeeded"


def num_parts(engine: Engine, job_id: str, attempt: int) -> int:
    with engine.sessions() as session:
        query = "SELECT count(*) FROM job_events WHERE job_id = :id AND attempt = :attempt AND type = 'part'"
        return session.scalar(sa.text(query), {"id": job_id, "attempt": attempt}) or 0


def ask(engine: Engine, job_id: str, desired: DesiredState) -> None:
    with engine.sessions.begin() as session:
        control.request(session, engine.project_id, job_id, desired)
    notify(engine.engine, NOTIFY_CONTROL, job_id)


def engines_of(engine: Engine) -> dict[str, psutil.Process]:
    """The worker's engines by lane."""
    found = {}
    for child in psutil.Process(engine.processes[1].pid).children():
        words = child.cmdline()
        if "simorgh_voice.engine" in words:
            found[words[words.index("--lane") + 1]] = child
    return found


def os_policy(pid: int) -> int:
    return os.sched_getscheduler(pid)
