"""A file comes, its job is waited for, and the text is worded as it was asked for (R-VOICE-1, R-VOICE-4, R-VOICE-7)."""

import io
import json
import os
from typing import Any

import httpx
import psutil
import pytest
import sqlalchemy as sa

from simorgh_shared.domain.errors import AppError, InvalidInputError, TooLargeError, UnsupportedError
from simorgh_shared.domain.jobs import Lane
from tests.api.voice.conftest import WAIT_S, World, told
from tests.api.voice.hand import SENTENCES, meanwhile, server_events

CLIP = b"RIFF" + bytes(2_000)
TEXT = " ".join(SENTENCES)
NATIVE, TRANSCRIPTIONS, TRANSLATIONS = "/api/stt/transcribe", "/v1/audio/transcriptions", "/v1/audio/translations"


def send(client: httpx.Client, path: str, clip: bytes = CLIP, name: str = "clip.wav", **fields: Any) -> httpx.Response:
    needed = {} if path == NATIVE else {"model": "whisper-1"}
    return client.post(path, files={"file": (name, clip, "audio/wav")}, data=needed | fields)


class TestShortClips:
    def test_the_transcript_is_the_answer(self, world: World) -> None:
        """R-VOICE-1: within the same request; the job's spec holds what was asked for and no name."""
        fields = {"language": "Persian", "prompt": "سیمرغ", "temperature": "0.4", "model": "whisper-base"}
        with meanwhile(lambda: send(world.client, NATIVE, **fields)) as answer:
            lease = world.hand.take(lanes=(Lane.SHORT,))
            world.hand.finish_hearing(lease)
        data = answer().json()["data"]
        assert (data["text"], data["language"], data["duration_s"]) == (TEXT, "fa", 6.5)
        assert (data["job_id"], data["segments"], data["words"]) == (lease.job_id, None, None)
        spec = dict(lease.spec)
        assert spec.pop("file_id").startswith("file_")
        assert spec.pop("model_version_id") == data["model_version_id"]
        assert len(spec.pop("sha256")) == 64
        assert spec == {
            "name": "clip.wav",
            "bytes": len(CLIP),
            "task": "transcribe",
            "language": "fa",
            "prompt": "سیمرغ",
            "temperature": [0.4, 0.6, 0.8, 1.0],
            "words": False,
            "vad": True,
            "short_audio_s": 30.0,
            "max_audio_s": 28_800.0,
        }
        job = world.client.get(f"/api/jobs/{lease.job_id}").json()["data"]
        assert (job["type"], job["name"], job["status"]) == ("transcribe", "clip.wav", "succeeded")

    def test_silence_is_an_empty_text(self, world: World) -> None:
        """R-VOICE-7: 200, on either surface."""
        for path in (NATIVE, TRANSCRIPTIONS):
            with meanwhile(lambda path=path: send(world.client, path)) as answer:
                world.hand.finish_hearing(world.hand.take(), num=0)
            assert answer().status_code == 200
            body = answer().json()
            assert body.get("data", body)["text"] == ""

    @pytest.mark.parametrize(
        ("form", "media_type", "begins"),
        [
            ("text", "text/plain", SENTENCES[0]),
            ("srt", "application/x-subrip", "1\n00:00:00,000 --> 00:00:01,900\n" + SENTENCES[0]),
            ("vtt", "text/vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:01.900\n" + SENTENCES[0]),
        ],
    )
    @pytest.mark.parametrize("path", [NATIVE, TRANSCRIPTIONS, TRANSLATIONS])
    def test_forms_without_json(self, world: World, path: str, form: str, media_type: str, begins: str) -> None:
        """R-VOICE-1: plain bodies; later they can be had from the job too."""
        with meanwhile(lambda: send(world.client, path, response_format=form)) as answer:
            lease = world.hand.take()
            world.hand.finish_hearing(lease)
        assert answer().headers["content-type"].startswith(media_type)
        assert answer().text.startswith(begins)
        later = world.client.get(f"/api/stt/jobs/{lease.job_id}", params={"format": form})
        assert (later.text, later.headers["x-transcript-complete"]) == (answer().text, "true")

    @pytest.mark.parametrize("name", ["timestamp_granularities[]", "timestamp_granularities"])
    def test_words_and_segments(self, world: World, name: str) -> None:
        """R-VOICE-1: as clients send it."""
        for asked, has_words, has_segments in ((["word"], True, False), (["word", "segment"], True, True)):
            fields = {name: asked, "response_format": "verbose_json"}
            with meanwhile(lambda fields=fields: send(world.client, NATIVE, **fields)) as answer:
                lease = world.hand.take()
                assert lease.spec["words"] is True
                world.hand.finish_hearing(lease, words=True)
            data = answer().json()["data"]
            assert (data["words"] is not None, data["segments"] is not None) == (has_words, has_segments)
            assert data["words"][0] == {"word": "سلام", "start": 0.0, "end": 0.2, "probability": 0.9}

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (InvalidInputError("audio_empty"), 400),
            (InvalidInputError("audio_unreadable", reason="it is cut off"), 400),
            (TooLargeError("audio_too_long", limit_s=28_800), 413),
            (UnsupportedError("audio_not_audio"), 415),
            (AppError("child_crashed", how="signal 9", failures=3, tail=""), 500),
        ],
    )
    @pytest.mark.parametrize("path", [NATIVE, TRANSCRIPTIONS])
    def test_what_a_job_failed_of_is_the_answer(self, world: World, path: str, error: AppError, status: int) -> None:
        """R-VOICE-7: with the status of its code and the sentence of the job."""
        with meanwhile(lambda: send(world.client, path)) as answer:
            world.hand.fail(world.hand.take(), error)
        assert told(answer(), status, error.code) == str(error)

    def test_answers_are_counted(self, world: World) -> None:
        """R-OPS-5: by kind, surface and outcome alone."""
        name = 'simorgh_voice_answers_total{kind="transcribe",outcome="answered",surface="api"}'
        before = _metric(world, name)
        with meanwhile(lambda: send(world.client, NATIVE)) as answer:
            world.hand.finish_hearing(world.hand.take())
        assert answer().status_code == 200
        assert _metric(world, name) == before + 1
        assert _metric(world, 'simorgh_voice_wait_seconds_count{kind="transcribe",surface="api"}') >= 1

    def test_a_job_that_somebody_cancels_is_a_conflict(self, world: World) -> None:
        """R-JOB-1: nobody waits for what does not come; SDKs do not try again."""
        with meanwhile(lambda: send(world.client, TRANSCRIPTIONS)) as answer:
            lease = world.hand.take()
            assert world.client.post(f"/api/jobs/{lease.job_id}/cancel").status_code == 200
            world.hand.leave(lease)
        assert "cancelled" in told(answer(), 409, "voice_job_ended")
        assert answer().headers["x-should-retry"] == "false"


class TestLongFiles:
    def test_a_long_file_is_answered_with_its_job(self, world: World) -> None:
        """R-VOICE-7: the worker sees that it is long; the text grows while it is heard."""
        with meanwhile(lambda: send(world.client, NATIVE)) as answer:
            world.hand.move(world.hand.take())
        assert answer().status_code == 202
        job = answer().json()["data"]
        assert answer().headers["location"] == f"/api/stt/jobs/{job['id']}"
        assert int(answer().headers["retry-after"]) > 0
        place = answer().headers["location"]
        assert world.client.get(place).json()["data"]["transcript"] is None
        for form, nothing in (("srt", ""), ("text", ""), ("vtt", "WEBVTT\n\n")):
            early = world.client.get(place, params={"format": form})
            assert (early.status_code, early.text) == (200, nothing)
            assert early.headers["x-transcript-complete"] == "false"
        lease = world.hand.take(lanes=(Lane.LONG,))
        world.hand.hear(lease, 0)
        world.hand.hear(lease, 1)
        part = world.client.get(place).json()["data"]
        assert (part["is_complete"], part["transcript"]["text"]) == (False, " ".join(SENTENCES[:2]))
        assert part["transcript"]["duration_s"] is None
        text = world.client.get(place, params={"format": "text"})
        assert (text.text.strip(), text.headers["x-transcript-complete"]) == (" ".join(SENTENCES[:2]), "false")
        world.hand.finish_hearing(lease)
        whole = world.client.get(place, params={"format": "verbose_json"}).json()["data"]
        assert (whole["is_complete"], whole["transcript"]["text"]) == (True, TEXT)
        assert [one["id"] for one in whole["transcript"]["segments"]] == [0, 1, 2]

    def test_a_large_file_goes_to_the_long_lane_at_once(self, world: World) -> None:
        """R-VOICE-4: nobody waits for it."""
        answer = send(world.client, NATIVE, clip=bytes(1_000_001))
        assert answer.status_code == 202
        lease = world.hand.take(lanes=(Lane.LONG,))
        assert lease.job_id == answer.json()["data"]["id"]
        world.hand.finish_hearing(lease)

    def test_nobody_waits_longer_than_the_limit(self, world: World) -> None:
        """R-VOICE-7: under /api the job goes on; under /v1 413 names the other path, and the job is taken back."""
        answer = send(world.client, NATIVE)
        assert answer.status_code == 202
        assert answer.elapsed.total_seconds() > WAIT_S
        world.hand.finish_hearing(world.hand.take())
        with meanwhile(lambda: send(world.client, TRANSCRIPTIONS)) as refused:
            lease = world.hand.take()
        assert "/api/stt/transcribe" in told(refused(), 413, "audio_wait_exceeded")
        assert world.hand.engine.job(lease.job_id).desired_state == "cancel"
        world.hand.leave(lease)
        assert world.hand.engine.job(lease.job_id).status == "cancelled"


class TestStreams:
    def test_segments_come_as_they_are_heard(self, world: World) -> None:
        """R-VOICE-1: each before the next is, and the whole at the end."""
        fields = {"stream": "true", "response_format": "verbose_json"}
        request = world.client.build_request("POST", NATIVE, files={"file": ("c.wav", CLIP)}, data=fields)
        with meanwhile(lambda: world.client.send(request, stream=True)) as begun:
            lease = world.hand.take()
            world.hand.hear(lease, 0)
        events = server_events(begun().iter_lines())
        assert next(events) == ("start", {"job_id": lease.job_id})
        for number in range(3):
            name, data = next(events)
            assert (name, data["language"]) == ("segments", "fa")
            assert [(one["id"], one["text"]) for one in data["segments"]] == [(number, SENTENCES[number])]
            if number < 2:
                world.hand.hear(lease, number + 1)
        world.hand.finish_hearing(lease)
        name, data = next(events)
        assert (name, data["text"], len(data["segments"])) == ("done", TEXT, 3)
        assert list(events) == []
        begun().close()

    @pytest.mark.parametrize(("path", "begins"), [(NATIVE, "event: start"), (TRANSCRIPTIONS, ": queued")])
    def test_a_stream_begins_when_its_job_is_queued(self, world: World, path: str, begins: str) -> None:
        """R-VOICE-1: the head is there before a worker has taken the job; a failure is then the last event."""
        fields = {"stream": "true"} if path == NATIVE else {"stream": "true", "model": "whisper-1"}
        request = world.client.build_request("POST", path, files={"file": ("c.wav", CLIP)}, data=fields)
        answer = world.client.send(request, stream=True)
        lines = answer.iter_lines()
        assert (answer.status_code, next(lines)) == (200, begins)
        world.hand.fail(world.hand.take(), UnsupportedError("audio_not_audio"))
        data = json.loads(next(line.removeprefix("data: ") for line in lines if "audio_not_audio" in line))
        assert data.get("code") == "audio_not_audio" or data["error"]["type"] == "invalid_request_error"
        assert not any(lines)
        answer.close()

    def test_what_fails_later_is_the_last_event(self, world: World) -> None:
        """R-VOICE-1: in words."""
        with meanwhile(lambda: send(world.client, NATIVE, stream="true")) as answer:
            lease = world.hand.take()
            world.hand.hear(lease, 0)
            world.hand.fail(lease, InvalidInputError("audio_unreadable", reason="it is cut off"))
        name, data = list(server_events(iter(answer().text.splitlines())))[-1]
        assert (name, data["code"]) == ("error", "audio_unreadable")

    def test_a_client_that_leaves_takes_its_job_back(self, world: World) -> None:
        """R-VOICE-1: in a stream, and while it waits for a plain answer."""
        request = world.client.build_request("POST", NATIVE, files={"file": ("c.wav", CLIP)}, data={"stream": "true"})
        with meanwhile(lambda: world.client.send(request, stream=True)) as begun:
            lease = world.hand.take()
            world.hand.hear(lease, 0)
        begun().close()
        self._wait_cancelled(world, lease.job_id)
        world.hand.leave(lease)
        with pytest.raises(httpx.ReadTimeout):
            world.client.post(NATIVE, files={"file": ("c.wav", CLIP)}, timeout=1.0)
        lease = world.hand.take(within_s=0.5) if self._newest(world) == "queued" else None
        assert lease is None
        assert self._newest(world) == "cancelled"

    def _wait_cancelled(self, world: World, job_id: str) -> None:
        engine = world.hand.engine
        engine.wait(lambda: engine.job(job_id).desired_state == "cancel", "the job is taken back", 10)

    def _newest(self, world: World) -> str:
        engine = world.hand.engine
        query = sa.text("SELECT status FROM jobs ORDER BY id DESC LIMIT 1")

        def status() -> str:
            with engine.sessions() as session:
                return str(session.scalar(query))

        engine.wait(lambda: status() == "cancelled", "the newest job is cancelled", 10)
        return status()


class TestUploads:
    def test_a_large_file_takes_no_memory(self, world: World) -> None:
        """R-VOICE-4: it goes through the gateway in pieces, whatever its size."""
        gateway = psutil.Process(world.gateway.pid)
        send(world.client, NATIVE, clip=bytes(1_500_000))
        world.hand.finish_hearing(world.hand.take())
        seen = [gateway.memory_info().rss]

        def is_queued() -> bool:
            seen.append(gateway.memory_info().rss)
            return _has_job(world, 39_000_000)

        with meanwhile(lambda: send(world.client, NATIVE, clip=os.urandom(39_000_000))) as answer:
            world.hand.engine.wait(is_queued, "the file is stored")
        assert answer().status_code == 202
        assert max(seen) - seen[0] < 20_000_000
        world.hand.finish_hearing(world.hand.take())

    def test_what_is_too_large_is_refused_while_it_comes(self, world: World) -> None:
        """R-VOICE-7: 413, whether the size was told before or not."""
        big = bytes(40_000_001)
        assert "40000000" in told(send(world.client, NATIVE, clip=big), 413, "audio_too_large")
        told(send(world.client, TRANSCRIPTIONS, clip=big), 413, "audio_too_large")

    def test_a_file_that_is_empty_or_missing(self, world: World) -> None:
        """R-VOICE-7: refused by the gateway itself."""
        told(send(world.client, NATIVE, clip=b""), 400, "file_empty")
        told(world.client.post(NATIVE, files={"audio": ("a.wav", CLIP)}), 400, "audio_missing")
        told(world.client.post(NATIVE, files={"file": (None, "text")}), 400, "audio_missing")
        told(world.client.post(NATIVE, json={"file": "x"}), 400, "invalid_body")

    def test_any_name_is_data(self, world: World) -> None:
        """R-DATA-1: never a path, and what no database takes is left out."""
        with meanwhile(lambda: send(world.client, NATIVE, name="../../etc/پرونده.wav")) as answer:
            lease = world.hand.take()
            world.hand.finish_hearing(lease)
        assert answer().status_code == 200
        assert lease.spec["name"] == "../../etc/پرونده.wav"

    def test_the_file_is_stored_as_it_came(self, world: World) -> None:
        """R-VOICE-4: byte for byte, for every attempt to read."""
        clip = io.BytesIO(bytes(range(256)) * 9_000).getvalue()
        answer = send(world.client, NATIVE, clip=clip)
        assert answer.status_code == 202
        lease = world.hand.take()
        engine = world.hand.engine
        with engine.sessions() as session:
            row = session.execute(
                sa.text("SELECT b.key FROM files f JOIN blobs b USING (sha256) WHERE f.id = :id"),
                {"id": lease.spec["file_id"]},
            ).one()
        body = engine.store.client.get_object(Bucket=engine.store.bucket, Key=row.key)["Body"].read()
        assert body == clip
        world.hand.finish_hearing(lease)
        assert world.client.delete(f"/api/jobs/{lease.job_id}").status_code == 200
        with engine.sessions() as session:
            left = "SELECT (SELECT count(*) FROM files WHERE id = :f), count(*) FROM transcripts WHERE job_id = :j"
            found = session.execute(sa.text(left), {"f": lease.spec["file_id"], "j": lease.job_id}).one()
        assert tuple(found) == (0, 0)


def _metric(world: World, name: str) -> float:
    lines = world.client.get("/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)


def _has_job(world: World, num_bytes: int) -> bool:
    query = sa.text("SELECT count(*) FROM jobs WHERE spec ->> 'bytes' = CAST(:bytes AS text)")
    with world.hand.engine.sessions() as session:
        return bool(session.scalar(query, {"bytes": num_bytes}))
