"""What cannot be heard or spoken is refused at once, with what to do about it (R-VOICE-1, R-VOICE-2, R-API-1)."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
import sqlalchemy as sa

from tests.api.voice.conftest import ENGLISH_ALONE, MANY_LANGUAGES, World, send_model, told
from tests.shared.model_folders.test_traits import WHISPER, speech_folder
from tests.support.gateway import Account

CLIP = b"RIFF" + bytes(2_000)
NATIVE, TRANSCRIPTIONS, TRANSLATIONS = "/api/stt/transcribe", "/v1/audio/transcriptions", "/v1/audio/translations"
SYNTHESIZE, SPEECH = "/api/tts/synthesize", "/v1/audio/speech"
SAID: dict[str, Any] = {"model": "tts-1", "voice": "alloy", "input": "سلام"}


def send(client: httpx.Client, path: str, **fields: Any) -> httpx.Response:
    needed = {} if path == NATIVE else {"model": "whisper-1"}
    return client.post(path, files={"file": ("clip.wav", CLIP, "audio/wav")}, data=needed | fields)


@pytest.fixture(autouse=True)
def _no_job_is_made(world: World) -> Iterator[None]:
    """A refusal leaves no job behind."""
    query = sa.text("SELECT count(*) FROM jobs WHERE type IN ('transcribe', 'synthesize')")
    with world.hand.engine.sessions() as session:
        before = session.scalar(query)
    yield
    with world.hand.engine.sessions() as session:
        assert session.scalar(query) == before


@pytest.fixture(scope="module")
def newcomer(world: World, sign_up: Callable[[], Account]) -> Iterator[httpx.Client]:
    """Someone in a project without any model."""
    with httpx.Client(base_url=world.gateway.url, timeout=60) as client:
        client.headers["authorization"] = sign_up().client.headers["authorization"]
        yield client


@pytest.fixture(scope="module")
def english(world: World, sign_up: Callable[[], Account]) -> Iterator[httpx.Client]:
    """Someone whose only model hears English alone."""
    with httpx.Client(base_url=world.gateway.url, timeout=60) as client:
        client.headers["authorization"] = sign_up().client.headers["authorization"]
        send_model(client, "whisper-en", ENGLISH_ALONE)
        yield client


class TestModels:
    @pytest.mark.parametrize("path", [NATIVE, TRANSCRIPTIONS])
    def test_a_project_without_a_model(self, newcomer: httpx.Client, path: str) -> None:
        """R-VOICE-6: says how to install one."""
        assert "make voice-models" in told(send(newcomer, path), 404, "no_transcription_model")

    @pytest.mark.parametrize("path", [NATIVE, TRANSCRIPTIONS])
    def test_no_model_for_the_language(self, english: httpx.Client, path: str) -> None:
        """R-VOICE-6: the language by its name."""
        answer = send(english, path, language="fa")
        assert "No model of this project hears Persian." in told(answer, 404, "no_model_for_language")
        answer = send(english, path, language="fa", model="whisper-en")
        assert "hears only English" in told(answer, 400, "model_language_unfit")

    def test_an_english_model_translates_nothing(self, english: httpx.Client) -> None:
        """R-VOICE-1: whether it is named or not."""
        for answer in (
            send(english, NATIVE, task="translate"),
            send(english, NATIVE, task="translate", model="whisper-en"),
            send(english, TRANSLATIONS),
        ):
            assert "whisper-en" in told(answer, 400, "model_no_translation")

    @pytest.mark.parametrize("path", [NATIVE, TRANSCRIPTIONS, TRANSLATIONS])
    def test_a_model_of_another_project(self, world: World, newcomer: httpx.Client, path: str) -> None:
        """R-AUTH-4: it is not there."""
        version_id = send_model(world.client, "whisper-base", MANY_LANGUAGES)
        told(send(newcomer, path, model=version_id), 404, "model_not_found")
        told(send(newcomer, path, model="whisper-base"), 404, "model_not_found")

    def test_a_model_that_hears_nothing(self, world: World) -> None:
        """R-VOICE-6: a voice, and a Whisper that has to be converted first."""
        assert "it is a voice" in told(send(world.client, NATIVE, model="mms-fa"), 400, "model_hears_nothing")
        send_model(world.client, "hf-whisper", speech_folder(WHISPER | {"vocab_size": 51_865}))
        answer = send(world.client, NATIVE, model="hf-whisper")
        assert "converted" in told(answer, 400, "model_hears_nothing")

    def test_another_projects_voice(self, world: World, newcomer: httpx.Client) -> None:
        """R-AUTH-4: it is not there."""
        told(newcomer.post(SYNTHESIZE, json={"text": "سلام", "voice": "mms-fa"}), 404, "voice_unknown")
        told(newcomer.post(SPEECH, json=SAID | {"model": "mms-fa"}), 404, "model_not_found")


class TestFields:
    @pytest.mark.parametrize("path", [NATIVE, TRANSCRIPTIONS, TRANSLATIONS])
    def test_a_language_that_there_is_not(self, world: World, path: str) -> None:
        """R-VOICE-1: codes and names are taken."""
        assert "klingon" in told(send(world.client, path, language="klingon"), 400, "language_unknown")

    def test_an_unknown_response_format(self, world: World) -> None:
        """R-VOICE-1: each surface names what there is."""
        for path in (NATIVE, TRANSCRIPTIONS):
            sentence = told(send(world.client, path, response_format="diarized_json"), 400, "invalid_parameter")
            assert "'vtt'" in sentence
        sentence = told(send(world.client, TRANSLATIONS, response_format="diarized_json"), 400, "translation_format")
        assert "verbose_json" in sentence

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"include[]": "logprobs"}, "parameter_unsupported"),
            ({"known_speaker_names[]": "Sara"}, "parameter_unsupported"),
            ({"chunking_strategy[type]": "server_vad", "chunking_strategy[threshold]": "0.2"}, "parameter_unsupported"),
            ({"timestamp_granularities[]": "word"}, "parameter_unsupported"),
            ({"timestamp_granularities[]": "page", "response_format": "verbose_json"}, "invalid_parameter"),
            ({"stream": "true", "response_format": "srt"}, "invalid_parameter"),
            ({"temperature": "1.5"}, "invalid_parameter"),
            ({"temperature": "warm"}, "invalid_parameter"),
            ({"model": ""}, "invalid_body"),
            ({"speaker": "1"}, "unknown_parameter"),
            ({"language": ["fa", "en"]}, "invalid_body"),
        ],
    )
    def test_what_transcriptions_do_not_take(self, world: World, fields: dict[str, Any], code: str) -> None:
        """R-VOICE-1: named, never ignored."""
        assert next(iter(fields)).partition("[")[0] in told(send(world.client, TRANSCRIPTIONS, **fields), 400, code)

    def test_translations_take_less(self, world: World) -> None:
        """R-VOICE-1: as OpenAI's."""
        assert "stream" in told(send(world.client, TRANSLATIONS, stream="true"), 400, "unknown_parameter")

    def test_fields_after_the_file_count_too(self, world: World) -> None:
        """R-VOICE-1: clients send them in any order."""
        parts = [("file", ("clip.wav", CLIP)), ("language", (None, "klingon")), ("model", (None, "whisper-1"))]
        assert "klingon" in told(world.client.post(TRANSCRIPTIONS, files=parts), 400, "language_unknown")


class TestTexts:
    @pytest.mark.parametrize("text", ["", " \n\t "])
    def test_nothing_to_speak(self, world: World, text: str) -> None:
        """R-VOICE-2: 400 with the field's name."""
        told(world.client.post(SYNTHESIZE, json={"text": text}), 400, "text_empty")
        assert "input" in told(world.client.post(SPEECH, json=SAID | {"input": text}), 400, "text_empty")

    def test_too_much_to_speak(self, world: World) -> None:
        """R-VOICE-2: 413 with the numbers."""
        long = "س" * 1_001
        sentence = told(world.client.post(SYNTHESIZE, json={"text": long}), 413, "text_too_long")
        assert ("1001" in sentence, "1000" in sentence) == (True, True)
        told(world.client.post(SPEECH, json=SAID | {"input": long}), 413, "text_too_long")
        prompt = "s" * 10_001
        for path in (NATIVE, TRANSCRIPTIONS):
            sentence = told(send(world.client, path, prompt=prompt), 400, "invalid_parameter")
            assert ("10001 characters long" in sentence, "sss" in sentence) == (True, False)

    def test_no_text_at_all(self, world: World) -> None:
        """R-VOICE-2: a NUL and half a surrogate pair are no text."""
        for text in ("\x00", "سلام\x00"):
            told(world.client.post(SYNTHESIZE, json={"text": text}), 400, "invalid_body")
        answer = world.client.post(
            SYNTHESIZE, content=b'{"text": "\\ud800"}', headers={"content-type": "application/json"}
        )
        told(answer, 400, "invalid_body")

    def test_an_unknown_format(self, world: World) -> None:
        """R-VOICE-2: those that there are are named."""
        answer = world.client.post(SYNTHESIZE, json={"text": "سلام", "format": "midi"})
        assert "'mp3'" in told(answer, 422, "invalid_parameter")
        assert "'mp3'" in told(
            world.client.post(SPEECH, json=SAID | {"response_format": "midi"}), 400, "invalid_parameter"
        )

    def test_instructions_are_refused(self, world: World) -> None:
        """R-VOICE-2: an option that were ignored would be a lie; an empty one says nothing."""
        told(world.client.post(SPEECH, json=SAID | {"instructions": "whisper it"}), 400, "parameter_unsupported")

    @pytest.mark.parametrize(
        ("more", "status", "code"),
        [
            ({"voice": "nobody"}, 404, "voice_unknown"),
            ({"voice": "espeak:tlh"}, 404, "voice_unknown"),
            ({"voice": "whisper-base"}, 400, "model_speaks_nothing"),
            ({"language": "tlh"}, 400, "language_unknown"),
            ({"language": "yoruba"}, 404, "no_voice_for_language"),
            ({"voice": "mms-fa", "language": "en"}, 400, "voice_language_unfit"),
            ({"voice": "espeak:fa", "language": "en"}, 400, "voice_language_unfit"),
        ],
    )
    def test_voices_that_do_not_fit(self, world: World, more: dict[str, str], status: int, code: str) -> None:
        """R-VOICE-2: unknown, or of another language."""
        sentence = told(world.client.post(SYNTHESIZE, json={"text": "سلام"} | more), status, code)
        assert code != "model_speaks_nothing" or "it writes down what is said" in sentence
        assert code != "voice_language_unfit" or "speaks Persian, and the language asked for is English" in sentence

    @pytest.mark.parametrize(
        ("more", "status", "code"),
        [
            ({"model": "nothing"}, 404, "model_not_found"),
            ({"model": "whisper-base"}, 400, "model_speaks_nothing"),
            ({"model": "espeak", "voice": "mms-fa"}, 400, "voice_model_unfit"),
            ({"model": "mms-fa", "voice": "espeak:fa"}, 400, "voice_model_unfit"),
            ({"voice": "nobody"}, 404, "voice_unknown"),
        ],
    )
    def test_models_and_voices_that_do_not_fit(
        self, world: World, more: dict[str, str], status: int, code: str
    ) -> None:
        """R-VOICE-2: of OpenAI's two parameters none is ignored."""
        answer = world.client.post(SPEECH, json=SAID | more)
        told(answer, status, code)
        named = "model" if set(more) == {"model"} else "voice"
        assert answer.json()["error"]["param"] == named

    def test_a_chat_with_a_model_of_speech(self, world: World) -> None:
        """R-API-3: by the name that was asked for, with what the model is for."""
        said = {"messages": [{"role": "user", "content": "سلام"}], "model": "whisper-base"}
        for answer in (
            world.client.post("/api/chat", json={"message": "سلام", "model": "whisper-base"}),
            world.client.post("/api/chat/conversations", json={"model": "whisper-base"}),
            world.client.post("/v1/chat/completions", json=said),
            world.client.post("/v1/completions", json={"prompt": "سلام", "model": "whisper-base"}),
        ):
            sentence = told(answer, 400, "model_no_chat")
            assert "The model whisper-base cannot answer texts: it writes down what is said" in sentence


class TestLimits:
    def test_no_worker_is_no_wait(self, world: World) -> None:
        """R-VOICE-1: 503 at once, with what to do."""
        with world.hand.away():
            for path in (NATIVE, TRANSCRIPTIONS):
                assert "simorgh up" in told(send(world.client, path), 503, "voice_unavailable")
            told(world.client.post(SYNTHESIZE, json={"text": "سلام"}), 503, "voice_unavailable")
            told(world.client.post(SPEECH, json=SAID), 503, "voice_unavailable")

    def test_a_full_queue(self, world: World) -> None:
        """R-AUTH-5: 429 with the numbers, before the file is stored."""
        owner = sa.create_engine(world.hand.engine.database.owner_url, poolclass=sa.NullPool)
        project = {"id": world.account.project_id}
        with owner.begin() as connection:
            connection.execute(sa.text("INSERT INTO project_quotas (project_id, queued_jobs) VALUES (:id, 0)"), project)
        try:
            jobs = world.client.get("/api/jobs").json()["data"]
            told(send(world.client, NATIVE), 429, "quota_queued_jobs")
            told(world.client.post(SPEECH, json=SAID), 429, "quota_queued_jobs")
            assert world.client.get("/api/jobs").json()["data"] == jobs
        finally:
            with owner.begin() as connection:
                connection.execute(sa.text("DELETE FROM project_quotas WHERE project_id = :id"), project)
            owner.dispose()

    def test_a_viewer_may_not(self, world: World) -> None:
        """R-AUTH-4: it makes jobs of the project."""
        key = world.client.post("/api/keys", json={"scopes": ["read"]})
        assert key.status_code in (200, 201), key.text
        with httpx.Client(base_url=world.gateway.url, timeout=60) as client:
            client.headers["authorization"] = f"Bearer {key.json()['data']['key']}"
            told(send(client, NATIVE), 403, "forbidden")
            told(client.post(SPEECH, json=SAID), 403, "forbidden")

    def test_openais_client_tells_them_apart(self, world: World) -> None:
        """R-API-1: by class, code and parameter."""
        client = world.openai()
        with pytest.raises(openai.NotFoundError) as missing:
            client.audio.transcriptions.create(model="nothing", file=("a.wav", CLIP))
        assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
        with pytest.raises(openai.BadRequestError) as silent:
            client.audio.speech.create(model="tts-1", voice="alloy", input="")
        assert (silent.value.code, silent.value.param) == ("text_empty", "input")
        with pytest.raises(openai.BadRequestError) as unfit:
            client.audio.speech.create(model="tts-1", voice="alloy", input="سلام", instructions="whisper it")
        assert (unfit.value.code, unfit.value.param) == ("parameter_unsupported", "instructions")
        client.close()
