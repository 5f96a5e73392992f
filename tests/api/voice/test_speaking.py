"""A text comes, and its audio leaves as it is made: never spliced, never half of it taken for the whole (R-VOICE-2)."""

import base64
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from simorgh_shared.domain.errors import AppError, InvalidInputError
from simorgh_shared.domain.jobs import Lane
from tests.api.voice.conftest import WAIT_S, World, told
from tests.api.voice.hand import SENTENCES, meanwhile, server_events

PARTS = [bytes([number]) * 5_000 for number in range(1, 4)]
WHOLE = b"".join(PARTS)
TEXT = " ".join(SENTENCES)
NATIVE, SPEECH = "/api/tts/synthesize", "/v1/audio/speech"
MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


def body(path: str, **more: Any) -> dict[str, Any]:
    return {"text": TEXT, **more} if path == NATIVE else {"model": "tts-1", "voice": "alloy", "input": TEXT, **more}


def begun(world: World, path: str, **more: Any) -> httpx.Response:
    """The answer as it stands when its head has come."""
    return world.client.send(world.client.build_request("POST", path, json=body(path, **more)), stream=True)


class TestStreams:
    @pytest.mark.parametrize("path", [NATIVE, SPEECH])
    def test_each_part_leaves_when_it_is_made(self, world: World, path: str) -> None:
        """R-VOICE-2: the first sentence is heard before the second is spoken."""
        with meanwhile(lambda: begun(world, path)) as asked:
            lease = world.hand.take(lanes=(Lane.SHORT,))
            world.hand.speak(lease, 0, PARTS[0])
        answer = asked()
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/mpeg")
        received = answer.iter_bytes(5_000)
        assert next(received) == PARTS[0]
        for number in (1, 2):
            world.hand.speak(lease, number, PARTS[number])
            assert next(received) == PARTS[number]
        world.hand.finish_speaking(lease, WHOLE, 3)
        assert list(received) == []
        answer.close()

    @pytest.mark.parametrize("form", MEDIA_TYPES)
    def test_every_format_has_its_type(self, world: World, form: str) -> None:
        """R-VOICE-2: and mp3 is what comes without a word."""
        for path, field in ((NATIVE, "format"), (SPEECH, "response_format")):
            with meanwhile(lambda path=path, field=field: begun(world, path, **{field: form})) as asked:
                lease = world.hand.take()
                assert lease.spec["format"] == form
                world.hand.speak(lease, 0, PARTS[0])
                world.hand.finish_speaking(lease, PARTS[0], 1)
            assert asked().headers["content-type"] == MEDIA_TYPES[form]
            assert asked().read() == PARTS[0]
            asked().close()

    def test_what_was_made_before_anyone_looked_goes_out_whole(self, world: World) -> None:
        """R-VOICE-2: a push may be lost, or come late."""
        with meanwhile(lambda: world.client.post(NATIVE, json=body(NATIVE))) as asked:
            lease = world.hand.take()
            for number, part in enumerate(PARTS):
                world.hand.speak(lease, number, part)
            world.hand.finish_speaking(lease, WHOLE, 3)
        assert asked().content == WHOLE

    def test_a_speech_of_many_sentences_goes_out_whole(self, world: World) -> None:
        """R-VOICE-2: also to who began to listen when all of it was there."""
        with meanwhile(lambda: begun(world, SPEECH)) as asked:
            lease = world.hand.take()
            for number in range(30):
                world.hand.speak(lease, number, bytes([number]) * 100, "سلام.")
            world.hand.finish_speaking(lease, b"", 30)
        assert asked().read() == b"".join(bytes([number]) * 100 for number in range(30))
        asked().close()

    def test_another_attempt_before_the_first_byte_is_the_answer(self, world: World) -> None:
        """R-VOICE-2: what the lost attempt made is not heard."""
        with meanwhile(lambda: world.client.post(NATIVE, json=body(NATIVE))) as asked:
            world.hand.crash(world.hand.take())
            lease = world.hand.take()
            assert lease.attempt == 2
            world.hand.speak(lease, 0, PARTS[1])
            world.hand.finish_speaking(lease, PARTS[1], 1)
        assert asked().content == PARTS[1]

    @pytest.mark.parametrize("path", [NATIVE, SPEECH])
    def test_another_attempt_after_it_breaks_the_answer_off(self, world: World, path: str) -> None:
        """R-VOICE-2: the client sees an answer without its end, and never two attempts in one."""
        with meanwhile(lambda: begun(world, path)) as asked:
            lease = world.hand.take()
            world.hand.speak(lease, 0, PARTS[0])
        received = asked().iter_bytes(5_000)
        assert next(received) == PARTS[0]
        world.hand.crash(lease)
        again = world.hand.take()
        world.hand.speak(again, 0, PARTS[0])
        with pytest.raises(httpx.RemoteProtocolError):
            list(received)
        asked().close()
        engine = world.hand.engine
        engine.wait(lambda: engine.job(again.job_id).desired_state == "cancel", "the job is taken back", 10)
        world.hand.leave(again)

    def test_a_failure_after_it_breaks_the_answer_off_too(self, world: World) -> None:
        """R-VOICE-2: half a speech is never a whole one."""
        with meanwhile(lambda: begun(world, SPEECH)) as asked:
            lease = world.hand.take()
            world.hand.speak(lease, 0, PARTS[0])
        received = asked().iter_bytes(5_000)
        next(received)
        world.hand.fail(lease, InvalidInputError("job_failed", reason="it was too much"))
        with pytest.raises(httpx.RemoteProtocolError):
            list(received)
        asked().close()

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (InvalidInputError("speech_nothing_to_say", voice="espeak:fa", language="fa"), 400),
            (AppError("child_crashed", how="signal 9", failures=3, tail=""), 500),
        ],
    )
    @pytest.mark.parametrize("path", [NATIVE, SPEECH])
    def test_a_failure_before_it_has_a_status(self, world: World, path: str, error: AppError, status: int) -> None:
        """R-API-3: in the shape of the surface."""
        with meanwhile(lambda: world.client.post(path, json=body(path))) as asked:
            world.hand.fail(world.hand.take(), error)
        assert told(asked(), status, error.code) == str(error)

    def test_a_client_that_leaves_takes_its_job_back(self, world: World) -> None:
        """R-VOICE-2: nobody speaks to nobody."""
        with meanwhile(lambda: begun(world, SPEECH)) as asked:
            lease = world.hand.take()
            world.hand.speak(lease, 0, PARTS[0])
        asked().close()
        engine = world.hand.engine
        engine.wait(lambda: engine.job(lease.job_id).desired_state == "cancel", "the job is taken back", 10)
        world.hand.leave(lease)

    def test_events_carry_the_same_bytes(self, world: World) -> None:
        """R-VOICE-2: OpenAI's stream_format."""
        with meanwhile(lambda: world.client.post(SPEECH, json=body(SPEECH, stream_format="sse"))) as asked:
            lease = world.hand.take()
            world.hand.speak(lease, 0, PARTS[0])
            world.hand.speak(lease, 1, PARTS[1])
            world.hand.finish_speaking(lease, WHOLE[:10_000], 2)
        assert asked().headers["content-type"].startswith("text/event-stream")
        *deltas, (last, done) = server_events(iter(asked().text.splitlines()))
        assert {name for name, _ in deltas} == {"speech.audio.delta"}
        assert b"".join(base64.b64decode(data["audio"]) for _, data in deltas) == WHOLE[:10_000]
        assert (last, done["usage"]["seconds"]) == ("speech.audio.done", 3.0)


class TestLongTexts:
    def test_a_long_text_is_a_job_whose_file_can_be_had(self, world: World) -> None:
        """R-VOICE-2: 202 under /api; the file is there when it has ended, until it is deleted."""
        answer = world.client.post(NATIVE, json=body(NATIVE, text=TEXT * 6, format="wav"))
        assert answer.status_code == 202
        job_id, place = answer.json()["data"]["id"], answer.headers["location"]
        shown = f"{(TEXT * 6)[:200]}…"
        listed = world.client.get("/api/jobs").json()["data"]
        one = world.client.get(f"/api/jobs/{job_id}").json()["data"]
        assert [job["spec"]["text"] for job in (answer.json()["data"], listed[0], one)] == [shown] * 3
        assert place == f"/api/tts/jobs/{job_id}"
        lease = world.hand.take(lanes=(Lane.LONG,))
        assert lease.spec["text"] == TEXT * 6
        world.hand.speak(lease, 0, PARTS[0])
        world.hand.speak(lease, 1, PARTS[1], text="", audio_s=0.0)  # what a codec had kept to itself
        seen = world.client.get(place).json()["data"]
        assert seen["audio_url"] is None
        assert seen["parts"] == [{"number": 0, "text": SENTENCES[0], "bytes": 5_000, "audio_s": 1.0}]
        told(world.client.get(f"{place}/audio"), 409, "speech_not_ready")
        world.hand.finish_speaking(lease, WHOLE, 1)
        audio = world.client.get(world.client.get(place).json()["data"]["audio_url"])
        assert (audio.content, audio.headers["content-type"]) == (WHOLE, "audio/wav")
        assert world.client.delete(f"/api/jobs/{job_id}").status_code == 200
        told(world.client.get(f"{place}/audio"), 404, "job_not_found")
        with world.hand.engine.sessions() as session:
            left = "SELECT spec ->> 'text', (SELECT count(*) FROM job_events WHERE job_id = :id AND type = 'part')"
            found = session.execute(sa.text(f"{left} FROM jobs WHERE id = :id"), {"id": job_id}).one()
        assert tuple(found) == (None, 0)

    def test_players_ask_for_ranges(self, world: World) -> None:
        """R-VOICE-2: each range is those bytes of the file."""
        with meanwhile(lambda: world.client.post(NATIVE, json=body(NATIVE))) as asked:
            lease = world.hand.take()
            world.hand.speak(lease, 0, WHOLE)
            world.hand.finish_speaking(lease, WHOLE, 1)
        assert asked().status_code == 200
        place = f"/api/tts/jobs/{lease.job_id}/audio"
        for asked_for, begin, end in (
            ("bytes=0-0", 0, 1),
            ("bytes=4990-5010", 4_990, 5_011),
            ("bytes=14000-", 14_000, 15_000),
            ("bytes=-100", 14_900, 15_000),
            ("bytes=14000-999999", 14_000, 15_000),
        ):
            answer = world.client.get(place, headers={"range": asked_for})
            assert (answer.status_code, answer.content) == (206, WHOLE[begin:end]), asked_for
            assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/15000"
        for nothing in ("bytes=15000-", "bytes=-0", "bytes=9-3"):
            answer = world.client.get(place, headers={"range": nothing})
            assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */15000")
        for whole in ("bytes=0-1,5-6", "items=0-1", "bytes=x"):
            assert world.client.get(place, headers={"range": whole}).status_code == 200

    @pytest.mark.parametrize(("path", "status"), [(NATIVE, 202), (SPEECH, 503)])
    def test_nobody_waits_longer_than_the_limit_for_the_first_byte(self, world: World, path: str, status: int) -> None:
        """R-VOICE-7: a job under /api; a refusal that names it under /v1, and the job is taken back."""
        answer = world.client.post(path, json=body(path))
        assert answer.status_code == status
        assert answer.elapsed.total_seconds() > WAIT_S
        if status == 202:
            lease = world.hand.take()
            world.hand.finish_speaking(lease, WHOLE, 0)
        else:
            assert NATIVE in told(answer, 503, "voice_busy")


class TestVoices:
    @pytest.mark.parametrize(
        ("more", "voice", "language"),
        [
            ({}, "mms-fa", "fa"),
            ({"voice": "alloy"}, "mms-fa", "fa"),
            ({"voice": "mms-fa"}, "mms-fa", "fa"),
            ({"voice": "espeak:fa"}, "espeak:fa", "fa"),
            ({"voice": "fa"}, "espeak:fa", "fa"),
            ({"voice": "espeak"}, "espeak:fa", "fa"),
            ({"voice": "espeak", "language": "english"}, "espeak:en", "en"),
            ({"text": "Hello there"}, "espeak:en", "en"),
            ({"text": "Hello there", "voice": "nova"}, "espeak:en", "en"),
            ({"text": "Hello there", "language": "fa-IR"}, "mms-fa", "fa"),
            ({"text": "مرحبا بكم في هذه المدينة"}, "espeak:ar", "ar"),
        ],
    )
    def test_a_voice_is_chosen(self, world: World, more: dict[str, str], voice: str, language: str) -> None:
        """R-VOICE-2: the project's own before eSpeak NG's, by name, by language, or by the letters of the text."""
        with meanwhile(lambda: world.client.post(NATIVE, json=body(NATIVE, **more))) as asked:
            lease = world.hand.take()
            world.hand.speak(lease, 0, PARTS[0])
            world.hand.finish_speaking(lease, PARTS[0], 1)
        assert asked().status_code == 200
        assert (lease.spec["voice_name"], lease.spec["language"]) == (voice, language)
        assert lease.spec["voice"].startswith("mver_" if voice == "mms-fa" else "espeak:")

    @pytest.mark.parametrize(
        ("model", "voice", "name"),
        [
            ("tts-1", "alloy", "mms-fa"),
            ("tts-1-hd", "espeak:fa", "espeak:fa"),
            ("mms-fa", "alloy", "mms-fa"),
            ("mms-fa", {"id": "mms-fa"}, "mms-fa"),
            ("espeak", "nova", "espeak:fa"),
        ],
    )
    def test_openais_models_and_voices(self, world: World, model: str, voice: object, name: str) -> None:
        """R-VOICE-2: a model is a voice's, or leaves the choice to it."""
        asking = body(SPEECH, model=model, voice=voice, speed=1.5)
        with meanwhile(lambda: world.client.post(SPEECH, json=asking)) as asked:
            lease = world.hand.take()
            world.hand.speak(lease, 0, PARTS[0])
            world.hand.finish_speaking(lease, PARTS[0], 1)
        assert asked().status_code == 200, asked().text
        assert (lease.spec["voice_name"], lease.spec["speed"]) == (name, 1.5)

    def test_all_voices_are_listed(self, world: World) -> None:
        """R-VOICE-2: with language, engine and licence; who speaks where nobody is named is told."""
        listed = world.client.get("/api/tts/voices").json()["data"]
        own, *others = listed
        assert (own["voice"], own["languages"], own["engine"], own["is_default"]) == ("mms-fa", ["fa"], "vits", True)
        assert {one["engine"] for one in others} == {"espeak"}
        assert {one["licence"] for one in others} == {"GPL-3.0-or-later"}
        by_name = {one["voice"]: one for one in others}
        assert by_name["espeak:fa"]["is_default"] is False
        assert by_name["espeak:en"]["is_default"] is True
        assert by_name["espeak:fa"]["language_names"] == ["Persian"]
