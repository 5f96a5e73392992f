"""A Whisper's conversion is asked over HTTP; a job does it (R-VOICE-6)."""

import json
from collections.abc import Callable

import pytest

from tests.api.datasets.uploading import ok, refused
from tests.shared.model_folders.test_traits import VITS, WHISPER, speech_folder
from tests.support import model_files
from tests.support.gateway import Account

PATH = "/api/models/upload"


def upload(account: Account, name: str, files: dict[str, bytes]) -> dict[str, object]:
    parts = [("files", (path, body, "application/octet-stream")) for path, body in files.items()]
    found: dict[str, object] = ok(account.client.post(PATH, files=parts, data={"name": name}))
    return found


@pytest.fixture(scope="module")
def account(sign_up: Callable[[], Account]) -> Account:
    return sign_up()


class TestConvert:
    def test_a_job_is_queued_for_the_exact_version(self, account: Account) -> None:
        """R-VOICE-6: by name, with the quantisation that was asked or the one for CPUs."""
        made = upload(account, "plain", speech_folder(WHISPER | {"vocab_size": 51_865}))
        answer = account.client.post("/api/models/plain/convert", json={})
        assert answer.status_code == 202
        job = answer.json()["data"]
        assert (job["type"], job["queue"]) == ("convert_model", "voice.cpu")
        assert job["spec"] == {
            "base_version_id": made["version_id"],
            "to": "ctranslate2",
            "quantisation": "int8",
            "name": "plain-int8",
        }

    def test_what_can_be_converted_is_told_at_once(self, account: Account) -> None:
        """R-VOICE-6: a voice, a Whisper that is one already, a model that is not there, a name that is none."""
        upload(account, "voice", speech_folder(VITS, {"language": "fas"}))
        ears = {"model.bin": model_files.ctranslate2("WhisperSpec"), "vocabulary.json": json.dumps(["a"]).encode()}
        upload(account, "ears", ears)
        upload(account, "plain", speech_folder(WHISPER | {"vocab_size": 51_865}))
        convert = "/api/models/{}/convert".format
        assert "and no Whisper" in refused(account.client.post(convert("voice"), json={}))
        assert "already" in refused(account.client.post(convert("ears"), json={}))
        assert account.client.post(convert("nowhere"), json={}).status_code == 404
        assert refused(account.client.post(convert("plain"), json={"name": "a@b"}))

    @pytest.mark.parametrize("body", [{"quantisation": "int3"}, {"to": "gguf"}, {"more": 1}])
    def test_unknown_wishes(self, account: Account, body: dict[str, object]) -> None:
        """R-VOICE-6: what is not there is refused, never left out."""
        assert account.client.post("/api/models/x/convert", json=body).status_code == 422
