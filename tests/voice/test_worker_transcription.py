"""The voice worker with real processes: audio becomes transcripts, whatever is killed meanwhile."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from simorgh_shared.domain.jobs import DesiredState, Lane
from simorgh_shared.speech.transcript import from_builtins, join_texts
from tests.support.engine import running_engine
from tests.support.ports import free_port
from tests.support.stack import Bucket, Database
from tests.support.voice import (
    REAL_WHISPER,
    Voice,
    engines_of,
    register_whisper,
    repeated,
    spoken,
    whisper_folder,
    written,
)

SENTENCE = "The quick brown fox jumps over the lazy dog, and the river runs slowly to the sea."
LONG_S = 8 * 60.0  # some four groups of chunks
METRICS_PORT = free_port()
# Other tests keep the processors busy: what gives way would come to nothing.
ENVIRONMENT = {"SIMORGH_METRICS_PORT": str(METRICS_PORT), "SIMORGH_VOICE_LONG_GIVES_WAY": "0"}


@pytest.fixture(scope="module")
def voice(
    database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Voice]:
    folder = tmp_path_factory.mktemp("voice")
    with running_engine(database, redis_url, bucket, folder) as engine:
        made = Voice(engine, register_whisper(engine, whisper_folder(folder)))
        engine.start_dispatcher()
        engine.start_voice("--queues", "voice.cpu", **ENVIRONMENT)
        yield made


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("clip") / "clip.flac", spoken(SENTENCE))


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("long") / "long.flac", repeated(spoken(SENTENCE), LONG_S))


@pytest.fixture(scope="module")
def uninterrupted(voice: Voice, long_file: Path) -> list[Any]:
    """The segments of the long file, when nobody disturbs."""
    job_id = voice.transcribe(long_file)
    job = voice.engine.wait_status(job_id, "succeeded", "failed", within_s=280)
    assert job.status == "succeeded", job.error
    assert voice.kinds(job_id).count("transcribed") >= 3, "too short to show what is to be shown"
    segments = voice.transcript(job_id).segments
    assert segments
    return segments


def restart(voice: Voice) -> None:
    """A new worker in the place of the one that has ended."""
    engine = voice.engine
    engine.processes[1] = engine.start_voice("--queues", "voice.cpu")
    engine.processes.pop()


class TestTranscription:
    def test_a_clip_becomes_a_transcript(self, voice: Voice, clip: Path) -> None:
        """R-VOICE-1: text, segments and what the job says agree."""
        job_id = voice.transcribe(clip, Lane.SHORT)
        job = voice.engine.wait_status(job_id, "succeeded", "failed")
        assert job.status == "succeeded", job.error
        assert job.result is not None
        kept = voice.transcript(job_id)
        segments = from_builtins(kept.segments)
        assert kept.text == join_texts((segment.text for segment in segments), "en")
        assert (kept.language, kept.task, kept.model_version_id) == ("en", "transcribe", voice.model_version_id)
        assert kept.duration_s == pytest.approx(job.result["duration_s"])
        assert job.result["num_segments"] == len(segments)
        assert voice.kinds(job_id) == ["queued", "running", "transcribed", "succeeded"]
        assert job.progress["audio_s"] == pytest.approx(kept.duration_s, abs=0.1)

    def test_one_that_turns_out_long_moves_to_the_other_lane(self, voice: Voice, tmp_path: Path) -> None:
        """R-VOICE-1: it is found out from the sound, told with its length, and no failure."""
        file = written(tmp_path / "file.flac", repeated(spoken(SENTENCE), 45.0))
        job_id = voice.transcribe(file, Lane.SHORT)
        job = voice.engine.wait_status(job_id, "succeeded", "failed")
        assert job.status == "succeeded", job.error
        assert (job.lane, job.attempt, job.failures_in_row) == ("long", 2, 0)
        events = voice.engine.events(job_id)
        assert [kind for _, kind, _ in events][:5] == ["queued", "running", "moved", "queued", "running"]
        moved = events[2][2]
        assert moved["lane"] == "long"
        assert moved["duration_s"] == pytest.approx(45.0, abs=0.5)

    @pytest.mark.parametrize(
        ("content", "code"), [(os.urandom(20_000), "audio_not_audio"), (b"#EXTM3U\n/etc/passwd\n", "audio_not_audio")]
    )
    def test_what_is_no_audio_is_refused_and_harms_nobody(
        self, voice: Voice, clip: Path, tmp_path: Path, content: bytes, code: str
    ) -> None:
        """R-VOICE-1: a clear sentence, one attempt, and the next clip is heard by the same engine."""
        path = tmp_path / "clip.wav"
        path.write_bytes(content)
        voice.engine.wait_status(voice.transcribe(clip, Lane.SHORT), "succeeded")
        before = engines_of(voice.engine.processes[1].pid)["short"].pid
        job = voice.engine.wait_status(voice.transcribe(path, Lane.SHORT), "failed", "succeeded")
        assert job.error is not None
        assert (job.error["code"], job.attempt) == (code, 1)
        assert voice.engine.wait_status(voice.transcribe(clip, Lane.SHORT), "succeeded").attempt == 1
        assert engines_of(voice.engine.processes[1].pid)["short"].pid == before

    def test_audio_that_is_gone_is_told(self, voice: Voice, clip: Path) -> None:
        """R-VOICE-1: retention took it, or storage lost it."""
        job_id = voice.transcribe(clip, Lane.SHORT, sha256="0" * 64)
        job = voice.engine.wait_status(job_id, "failed")
        assert job.error is not None
        assert job.error["code"] == "audio_gone"
        assert "clip.flac" in job.error["message"]

    def test_prometheus_is_told(self, voice: Voice, clip: Path) -> None:
        """R-OPS-5: audio seconds, queue wait, real-time factor, engines, models."""
        voice.engine.wait_status(voice.transcribe(clip, Lane.SHORT), "succeeded")
        told = httpx.get(f"http://127.0.0.1:{METRICS_PORT}/metrics").text
        values = dict(line.rsplit(" ", 1) for line in told.splitlines() if not line.startswith("#"))
        assert float(values['simorgh_voice_audio_seconds_total{kind="transcribe"}']) > 3
        assert float(values['simorgh_voice_queue_wait_seconds_count{lane="short"}']) >= 1
        assert float(values['simorgh_voice_real_time_factor_count{kind="transcribe"}']) >= 1
        assert float(values['simorgh_voice_engine_starts_total{lane="short",outcome="ready"}']) >= 1
        assert float(values['simorgh_voice_models_loaded_bytes{lane="short"}']) > 1e6
        ready = httpx.get(f"http://127.0.0.1:{METRICS_PORT}/readyz", timeout=10).json()
        assert ready["data"]["parts"]["claims"] == "ok"

    @pytest.mark.skipif(REAL_WHISPER is None, reason="SIMORGH_TEST_WHISPER names no Whisper folder")
    def test_a_real_model_hears_what_was_said(self, voice: Voice, clip: Path) -> None:
        """R-VOICE-1."""
        real = Voice(voice.engine, register_whisper(voice.engine, Path(str(REAL_WHISPER)), "base"))
        job_id = real.transcribe(clip, Lane.SHORT, language=None)
        job = voice.engine.wait_status(job_id, "succeeded", "failed")
        assert job.status == "succeeded", job.error
        heard = real.transcript(job_id)
        assert heard.language == "en"
        assert "quick brown fox" in heard.text.lower()


class TestLanes:
    def test_a_clip_is_answered_while_a_long_file_runs(
        self, voice: Voice, clip: Path, long_file: Path, uninterrupted: list[Any]
    ) -> None:
        """R-VOICE-1: and a second long file waits."""
        jobs = [voice.transcribe(long_file) for _ in range(2)]
        voice.engine.wait_status(jobs[0], "running")
        clips = [voice.transcribe(clip, Lane.SHORT) for _ in range(3)]
        for job_id in clips:
            assert voice.engine.wait_status(job_id, "succeeded", "failed").status == "succeeded"
        assert [voice.engine.job(job_id).status for job_id in jobs] == ["running", "queued"]
        for job_id in reversed(jobs):
            voice.ask(job_id, DesiredState.CANCEL)
        for job_id in jobs:
            voice.engine.wait_status(job_id, "cancelled", within_s=20)

    def test_a_cancelled_file_leaves_its_engine_to_others(self, voice: Voice, long_file: Path) -> None:
        """R-JOB-3: at once, without a transcript; the model stays loaded."""
        job_id = voice.transcribe(long_file)
        voice.wait_groups(job_id, 1)
        engine = engines_of(voice.engine.processes[1].pid)["long"].pid
        voice.ask(job_id, DesiredState.CANCEL)
        cancelled = voice.engine.wait_status(job_id, "cancelled", within_s=10)
        assert cancelled.result is None
        again = voice.transcribe(long_file)
        voice.wait_groups(again, 1)
        assert engines_of(voice.engine.processes[1].pid)["long"].pid == engine
        voice.ask(again, DesiredState.CANCEL)
        voice.engine.wait_status(again, "cancelled", within_s=10)


class TestResume:
    """R-VOICE-1: a long file goes on behind its last finished group, and its text is the uninterrupted one's."""

    def test_engine_and_worker_are_killed_in_turn(
        self, voice: Voice, long_file: Path, uninterrupted: list[Any]
    ) -> None:
        job_id = voice.transcribe(long_file)
        voice.wait_groups(job_id, 1)
        engines_of(voice.engine.processes[1].pid)["long"].kill()
        voice.wait_groups(job_id, 2)
        worker = voice.engine.processes[1]
        left = list(engines_of(worker.pid).values())
        voice.engine.kill_group(worker)
        for engine in left:
            voice.engine.wait(lambda engine=engine: not engine.is_running(), "the engine ends with its worker", 10)
        restart(voice)
        job = voice.engine.wait_status(job_id, "succeeded", "failed", within_s=200)
        assert job.status == "succeeded", job.error
        assert job.attempt >= 3
        assert voice.transcript(job_id).segments == uninterrupted
        events = voice.engine.events(job_id)
        assert [seq for seq, _, _ in events] == list(range(1, len(events) + 1))
        numbers = [payload["number"] for _, kind, payload in events if kind == "transcribed"]
        assert numbers == list(range(len(numbers)))
        resumed = [payload for _, kind, payload in events if kind == "resumed"]
        assert [told["number"] for told in resumed] == sorted(told["number"] for told in resumed)
        assert resumed[0]["number"] >= 1

    def test_it_is_paused_and_then_the_worker_is_told_to_end(
        self, voice: Voice, long_file: Path, uninterrupted: list[Any]
    ) -> None:
        """R-JOB-3, and architecture 5, drain: the file is given back within the grace, without a failure."""
        job_id = voice.transcribe(long_file)
        voice.wait_groups(job_id, 1)
        voice.ask(job_id, DesiredState.PAUSE)
        voice.engine.wait_status(job_id, "paused", within_s=10)
        voice.ask(job_id, DesiredState.RUN)
        voice.wait_groups(job_id, 2)
        worker = voice.engine.processes[1]
        worker.terminate()
        worker.wait(timeout=20)
        job = voice.engine.job(job_id)
        assert (job.status, job.failures_in_row) == ("queued", 0)
        restart(voice)
        job = voice.engine.wait_status(job_id, "succeeded", "failed", within_s=200)
        assert job.status == "succeeded", job.error
        assert voice.transcript(job_id).segments == uninterrupted

    def test_a_worker_that_slept_through_its_lease_writes_nothing_more(
        self, voice: Voice, long_file: Path, uninterrupted: list[Any]
    ) -> None:
        """R-JOB-1: it lets go of the request, and what the next attempt writes is whole."""
        job_id = voice.transcribe(long_file)
        voice.wait_groups(job_id, 1)
        worker = voice.engine.processes[1]
        os.kill(worker.pid, signal.SIGSTOP)
        voice.engine.wait_status(job_id, "queued", within_s=60)
        os.kill(worker.pid, signal.SIGCONT)
        job = voice.engine.wait_status(job_id, "succeeded", "failed", within_s=200)
        assert job.status == "succeeded", job.error
        assert voice.transcript(job_id).segments == uninterrupted
