"""What a newcomer reads when something that was sent does not fit."""

from collections.abc import Callable

import httpx
import pytest

from tests.support.gateway import Account, Gateway


@pytest.fixture(scope="module")
def client(sign_up: Callable[[], Account]) -> httpx.Client:
    return sign_up().client


class TestBodies:
    @pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
    def test_what_curl_sends_as_a_form_is_told_its_header(self, client: httpx.Client, path: str) -> None:
        """R-API-1: `curl -d` without a header, the newcomer's first mistake."""
        form = {"content-type": "application/x-www-form-urlencoded"}
        told = client.post(path, content='{"message": "سلام"}'.encode(), headers=form).text
        assert "add the header content-type: application/json" in told

    @pytest.mark.parametrize(
        ("path", "body", "says"),
        [
            ("/api/chat", {"message": ""}, "message is empty: it must have at least 1 character."),
            ("/api/chat", ["سلام"], "The request body does not fit: the body: it must be a JSON object."),
            ("/api/chat", {}, "The request body does not fit: message: it is missing."),
            (
                "/api/auth/register",
                {"email": "sara", "password": "long enough"},
                "email is sara: it is no e-mail address such as you@example.org.",
            ),
            (
                "/api/auth/register",
                {"email": "a@example.test", "password": "short"},
                "The request body does not fit: password: it must have at least 8 characters.",
            ),
            ("/api/keys", {"scopes": []}, "The request body does not fit: scopes: it must have at least 1 entry."),
            ("/api/train/start", {"maxSteps": "many"}, "maxSteps is many: it must be a whole number."),
            ("/api/train/start", {"packing": "perhaps"}, "packing is perhaps: it must be true or false."),
        ],
    )
    def test_the_reason_is_in_plain_words(self, client: httpx.Client, path: str, body: object, says: str) -> None:
        """R-API-3."""
        answer = client.post(path, json=body)
        assert answer.status_code == 422
        assert answer.json()["error"] == says

    @pytest.mark.parametrize("body", [b"\xff\xfe{", b"\x00\x00\x00\x00\x00", b'{"message": "\xe2\x80'])
    def test_bytes_that_are_no_text(self, client: httpx.Client, body: bytes) -> None:
        """R-API-3: on both surfaces."""
        for path in ("/api/chat", "/v1/chat/completions"):
            answer = client.post(path, content=body, headers={"content-type": "application/json"})
            assert answer.status_code == 400, answer.text
            assert "send JSON in UTF-8" in answer.text

    @pytest.mark.parametrize(
        ("path", "begins"),
        [
            ("/api/train/start", "Unknown parameter lr, optimizer. Known parameters: modelName, datasetId, method"),
            ("/api/training/jobs", "Unknown parameter lr, optimizer. Known parameters: model, dataset, method"),
        ],
    )
    def test_unknown_ones_are_told_once_with_the_familys_own(
        self, client: httpx.Client, path: str, begins: str
    ) -> None:
        """R-API-3, R-TRAIN-1: as its users write them."""
        said = client.post(path, json={"lr": 1, "optimizer": "sgd"}).json()["error"]
        assert said.startswith(begins)
        assert said.count("Known parameters") == 1
        assert ("learningRate" in said) is (path == "/api/train/start")

    def test_a_key_needs_no_body(self, client: httpx.Client) -> None:
        """R-AUTH-3: everything in it has a default."""
        assert client.post("/api/keys").status_code == 201


class TestRequests:
    def test_another_method_is_told_which_there_are(self, client: httpx.Client) -> None:
        """R-API-3: in the sentence, and in the header that HTTP has for it."""
        answer = client.put("/api/keys")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, POST"
        assert answer.json()["error"] == "PUT is not allowed at /api/keys. Use GET, POST."

    @pytest.mark.parametrize("credential", ["sk-nonsense", "sk-simorgh-nonsense"])
    def test_a_key_is_told_as_a_key(self, gateway: Gateway, credential: str) -> None:
        """R-AUTH-3."""
        answer = httpx.get(f"{gateway.url}/api/jobs", headers={"authorization": f"Bearer {credential}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "api_key_invalid")

    def test_an_unknown_query_parameter_is_refused(self, client: httpx.Client) -> None:
        """R-API-3: what would be ignored is a mistake that somebody looks for."""
        answer = client.get("/api/jobs", params={"state": "running"})
        assert answer.status_code == 400
        assert answer.json()["error"] == (
            "/api/jobs takes no query parameter state. It takes: cursor, experiment, limit, status, tag, text, type."
        )
        assert client.get("/v1/models", params={"api-version": "1"}).status_code == 200

    def test_options_of_an_upload_belong_into_its_form(self, client: httpx.Client) -> None:
        """R-DATA-1: `on_error=skip` in the query was ignored."""
        files = {"dataset": ("a.jsonl", b'{"text": "a"}\n')}
        answer = client.post("/api/datasets/upload?on_error=skip", files=files)
        assert answer.status_code == 400
        assert "takes no query parameter on_error" in answer.json()["error"]

    def test_a_stream_takes_where_it_was(self, client: httpx.Client) -> None:
        """R-API-3: EventSource cannot send a header when it first connects."""
        answer = client.get("/api/jobs/job_none/stream", params={"last_event_id": "3"})
        assert answer.json()["code"] == "job_not_found"
