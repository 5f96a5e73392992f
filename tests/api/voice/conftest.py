"""Someone with models that could hear and speak, at a gateway with short waits, and a worker that is driven by hand."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import openai
import pytest

from tests.api.voice.hand import Hand
from tests.shared.model_folders.test_traits import VITS, speech_folder, words
from tests.support import model_files
from tests.support.engine import running_engine
from tests.support.gateway import Account, Gateway, running_gateway
from tests.support.stack import Bucket, Database

WAIT_S = 3.0
MAX_AUDIO_BYTES = 40_000_000
MANY_LANGUAGES = {"model.bin": model_files.ctranslate2("WhisperSpec"), "vocabulary.json": words(51_865)}
ENGLISH_ALONE = {"model.bin": model_files.ctranslate2("WhisperSpec"), "vocabulary.json": words(51_864)}
PERSIAN_VOICE = speech_folder(VITS, {"language": "fas", "is_uroman": False, "phonemize": False})


@dataclass(frozen=True)
class World:
    """A gateway with short waits, and who asks it."""

    gateway: Gateway
    account: Account
    hand: Hand

    @property
    def client(self) -> httpx.Client:
        """Signed in."""
        return self.account.client

    def openai(self) -> openai.OpenAI:
        """OpenAI's own client."""
        url, key = f"{self.gateway.url}/v1", self.account.access_token
        return openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=60)


def send_model(client: httpx.Client, name: str, files: dict[str, bytes]) -> str:
    """Upload a model folder; the version's id."""
    parts = [("files", (path, body, "application/octet-stream")) for path, body in files.items()]
    answer = client.post("/api/models/upload", files=parts, data={"name": name})
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["data"]["version_id"]
    return found


@pytest.fixture(scope="module")
def hand(
    database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hand]:
    """The worker."""
    with running_engine(database, redis_url, bucket, tmp_path_factory.mktemp("hand")) as engine:
        made = Hand(engine, redis_url)
        made.clock_in()
        yield made
        made.close()


@pytest.fixture(scope="module")
def world(
    gateway: Gateway, sign_up: Callable[[], Account], hand: Hand, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A gateway that waits for seconds, and someone with a Whisper and a Persian voice."""
    same = {name: value for name, value in gateway.environment.items() if not name.endswith("_PORT")}
    waits = {
        "SIMORGH_VOICE_WAIT_S": str(WAIT_S),
        "SIMORGH_V1_AUDIO_WAIT_S": str(WAIT_S),
        "SIMORGH_MAX_AUDIO_BYTES": str(MAX_AUDIO_BYTES),
        "SIMORGH_SHORT_AUDIO_BYTES": "1000000",
        "SIMORGH_SHORT_SPEECH_CHARS": "200",
        "SIMORGH_MAX_SPEECH_CHARS": "1000",
        "SIMORGH_UPLOAD_SPOOL_DIR": str(tmp_path_factory.mktemp("spool")),
    }
    made = sign_up()
    with (
        running_gateway(tmp_path_factory.mktemp("voice"), **same, **waits) as short,
        httpx.Client(base_url=short.url, timeout=60) as client,
    ):
        client.headers["authorization"] = made.client.headers["authorization"]
        account = Account(client, made.email, made.project_id, made.access_token, made.refresh_token)
        send_model(client, "whisper-base", MANY_LANGUAGES)
        send_model(client, "mms-fa", PERSIAN_VOICE)
        yield World(short, account, hand)


def told(answer: httpx.Response, status: int, code: str) -> str:
    """The sentence of a refusal in the shape of its surface."""
    assert answer.status_code == status, answer.text
    body = json.loads(answer.content)
    if "/v1/" in str(answer.url):
        assert body["error"]["code"] == code, body
        return str(body["error"]["message"])
    assert (body["ok"], body["code"], body["status"]) == (False, code, status), body
    return str(body["error"])
