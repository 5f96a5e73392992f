"""Owns the HTTP calls of the quick start: a client of the public API like any other."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from simorgh_cli.backing.secrets import SecretStore
from simorgh_shared.domain.errors import UnavailableError

TERMINAL = frozenset({"succeeded", "failed", "cancelled", "stopped"})
_RECONNECT_S = 0.5
_GIVE_UP_S = 60.0


@dataclass(frozen=True)
class StreamEvent:
    """One event of a run's stream."""

    name: str
    data: dict[str, Any]


class ApiClient:
    """Signed in as one local user, whose password is kept with the data."""

    def __init__(self, api_url: str, store: SecretStore) -> None:
        self._store = store
        self._http = httpx.Client(base_url=api_url, timeout=httpx.Timeout(60.0, connect=5.0), trust_env=False)
        self._email = "local@simorgh.example"
        self._refresh_token = ""

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def sign_in(self) -> str:
        """Log in, or register at the first run; answers the e-mail address."""
        given = {"email": self._email, "password": self._store.get("local_user_password")}
        answer = self._http.post("/api/auth/login", json=given)
        if answer.status_code in {401, 404}:
            answer = self._http.post("/api/auth/register", json=given | {"name": "Local user"})
        self._keep_tokens(_data(answer))
        return self._email

    def upload(self, train: Path, test: Path, name: str) -> str:
        """Upload the two files as one dataset; answers its id."""
        with train.open("rb") as train_file, test.open("rb") as test_file:
            files = {
                "dataset": (train.name, train_file, "application/jsonl"),
                "test": (test.name, test_file, "application/jsonl"),
            }
            data = _data(self._http.post("/api/datasets/upload", files=files, data={"name": name}))
        return str(_first(data, "dataset_id", "datasetId", "id"))

    def start(self, spec: dict[str, Any]) -> str:
        """Start a training run; answers its id."""
        return str(_data(self._post("/api/train/start", spec))["runId"])

    def status(self, run_id: str) -> dict[str, Any]:
        """The run as it is now."""
        return _data(self._send("GET", "/api/train/status", params={"runId": run_id}))

    def follow(self, run_id: str) -> Iterator[StreamEvent]:
        """The run's events until it ends; a cut stream goes on where it was cut."""
        last_id, failing_since = "", None
        while True:
            try:
                for event_id, event in self._stream(run_id, last_id):
                    last_id, failing_since = event_id or last_id, None
                    yield event
                if self.status(run_id)["phase"] in TERMINAL:
                    return
                failing_since = None
            except (httpx.HTTPError, UnavailableError):
                # A gateway that restarts, or a run that is not visible yet; not one that stays away.
                failing_since = failing_since or time.monotonic()
                if time.monotonic() - failing_since > _GIVE_UP_S:
                    raise
            time.sleep(_RECONNECT_S)

    def models(self) -> list[dict[str, Any]]:
        """The models of the project, as OpenAI clients see them."""
        answer = self._send("GET", "/v1/models")
        _check(answer)
        listed: list[dict[str, Any]] = answer.json()["data"]
        return listed

    def ask(self, model: str, messages: list[dict[str, str]], max_tokens: int = 160) -> str:
        """The greedy answer, whole."""
        body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": max_tokens}
        answer = self._post("/v1/chat/completions", body)
        _check(answer)
        return str(answer.json()["choices"][0]["message"]["content"])

    def ask_streamed(self, model: str, messages: list[dict[str, str]]) -> Iterator[str]:
        """The answer in pieces, as they come."""
        body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 200, "stream": True}
        self._renew_when_old()
        with self._http.stream("POST", "/v1/chat/completions", json=body) as answer:
            if answer.is_error:
                answer.read()
                _check(answer)
            for line in answer.iter_lines():
                text = line.removeprefix("data:").strip()
                if not line.startswith("data:") or text == "[DONE]":
                    continue
                choices = json.loads(text).get("choices") or [{}]
                yield choices[0].get("delta", {}).get("content") or ""

    def _stream(self, run_id: str, last_id: str) -> Iterator[tuple[str, StreamEvent]]:
        self._renew_when_old()
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        timeout = httpx.Timeout(45.0, connect=5.0)  # a comment comes every 15 s
        path, params = "/api/train/stream", {"runId": run_id}
        with self._http.stream("GET", path, params=params, headers=headers, timeout=timeout) as answer:
            if answer.is_error:
                answer.read()
                _check(answer)
            event_id, name, data = "", "message", ""
            for line in answer.iter_lines():
                field, _, value = line.partition(":")
                match field:
                    case "id":
                        event_id = value.strip()
                    case "event":
                        name = value.strip()
                    case "data":
                        data += value.removeprefix(" ")
                    case "" if not line and data:
                        payload = json.loads(data)
                        yield event_id, StreamEvent(name, payload if isinstance(payload, dict) else {})
                        name, data = "message", ""

    def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return self._send("POST", path, json=body)

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = self._http.request(method, path, **more)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._renew()
            answer = self._http.request(method, path, **more)
        return answer

    def _renew_when_old(self) -> None:
        """Streams cannot be sent twice: make sure that the token is good first (it lasts 15 minutes)."""
        _check(self._send("GET", "/api/auth/me"))

    def _renew(self) -> None:
        answer = self._http.post("/api/auth/refresh", json={"refresh_token": self._refresh_token})
        if answer.is_error:
            self.sign_in()
        else:
            self._keep_tokens(_data(answer))

    def _keep_tokens(self, data: dict[str, Any]) -> None:
        self._refresh_token = str(_first(data, "refresh_token", "refreshToken"))
        self._http.headers["Authorization"] = f"Bearer {_first(data, 'access_token', 'accessToken')}"


def _data(answer: httpx.Response) -> dict[str, Any]:
    _check(answer)
    data: dict[str, Any] = answer.json()["data"]
    return data


def _check(answer: httpx.Response) -> None:
    """Raises: UnavailableError with the sentence that the platform answered."""
    if not answer.is_error:
        return
    try:
        said = answer.json()
        error = said.get("error", said)
        reason = error["message"] if isinstance(error, dict) and "message" in error else str(error)
    except (ValueError, AttributeError):
        reason = answer.text[:500]
    raise UnavailableError(
        "request_refused",
        request=f"{answer.request.method} {answer.request.url.path}",
        status=answer.status_code,
        reason=reason,
    )


def _first(data: dict[str, Any], *names: str) -> Any:
    return next(data[name] for name in names if name in data)
