"""Streams by ticket: what a browser's EventSource can do, and what its URL is not good for."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
import sqlalchemy as sa

from tests.support.gateway import PASSWORD, Account, Gateway


def start_run(account: Account) -> str:
    """A run that waits for a worker that is not there: its stream tells one event and stays open."""
    answer = account.client.post("/api/train/start", json={})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["runId"]


def ticket_for(account: Account, path: str) -> str:
    """The URL of a stream with a ticket in it."""
    answer = account.client.post("/api/auth/tickets", json={"path": path})
    assert answer.status_code == 201, answer.text
    data = answer.json()["data"]
    assert data["url"] == f"{path}{'&' if '?' in path else '?'}ticket={data['ticket']}"
    return data["url"]


@contextmanager
def opened(gateway: Gateway, url: str, last_event_id: str | None = None) -> Iterator[Iterator[str]]:
    """The lines of a stream that is opened as a browser does it: no header but Last-Event-ID."""
    headers = {} if last_event_id is None else {"last-event-id": last_event_id}
    with httpx.stream("GET", gateway.url + url, headers=headers, timeout=20) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield answer.iter_lines()


def refused(gateway: Gateway, url: str, **headers: str) -> tuple[str, str]:
    """The code and sentence of a 401."""
    answer = httpx.get(gateway.url + url, headers=headers, timeout=20)
    assert answer.status_code == 401, answer.text
    return answer.json()["code"], answer.json()["error"]


def until(lines: Iterator[str], start: str) -> str:
    """The next line that begins so."""
    return next(line for line in lines if line.startswith(start))


def assert_ends(lines: Iterator[str], within_s: float) -> None:
    """The server ends the stream in time."""
    began = time.monotonic()
    list(lines)
    assert time.monotonic() - began < within_s


@pytest.fixture(scope="module")
def account(sign_up: Callable[[], Account]) -> Account:
    return sign_up()


@pytest.fixture(scope="module")
def job_id(account: Account) -> str:
    return start_run(account)


@pytest.fixture
def url(account: Account, job_id: str) -> str:
    """A stream with a fresh ticket."""
    return ticket_for(account, f"/api/jobs/{job_id}/stream")


class TestOpening:
    """R-AUTH-7."""

    @pytest.mark.parametrize("path", ["/api/jobs/{}/stream", "/api/train/stream?runId={}", "/api/train/stream"])
    def test_a_stream_opens_without_a_header_and_goes_on_at_the_same_url(
        self, gateway: Gateway, account: Account, job_id: str, path: str
    ) -> None:
        """R-AUTH-7: EventSource reconnects with the same URL and Last-Event-ID; nothing is told twice."""
        url = ticket_for(account, path.format(job_id))
        with opened(gateway, url) as lines:
            assert until(lines, "id:") == "id: 1"
            assert until(lines, "event:") == "event: queued"
        for _ in range(2):
            with opened(gateway, url, last_event_id="1") as lines:
                assert next(lines) == ": connected"
                account.client.post(f"/api/jobs/{job_id}/checkpoint")
        assert refused(gateway, url)[0] == "ticket_used"

    def test_a_connection_that_goes_on_ends_the_one_before(self, gateway: Gateway, url: str) -> None:
        """R-AUTH-7: one ticket never feeds two streams, and a connection that died unseen holds nothing up."""
        with opened(gateway, url) as first:
            until(first, "id:")
            with opened(gateway, url, last_event_id="1") as second:
                assert next(second) == ": connected"
                assert_ends(first, within_s=6)

    def test_the_rights_are_the_projects_for_which_it_was_made(
        self, gateway: Gateway, sign_up: Callable[[], Account], job_id: str
    ) -> None:
        """R-AUTH-7, R-AUTH-4: another project's job is not there."""
        url = ticket_for(sign_up(), f"/api/jobs/{job_id}/stream")
        answer = httpx.get(gateway.url + url, timeout=20)
        assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")

    def test_a_key_makes_no_tickets(self, gateway: Gateway, account: Account, job_id: str) -> None:
        """R-AUTH-7, R-AUTH-3: a ticket ends with an access token, a key has none."""
        key = account.client.post("/api/keys", json={}).json()["data"]["key"]
        headers = {"authorization": f"Bearer {key}"}
        body = {"path": f"/api/jobs/{job_id}/stream"}
        answer = httpx.post(f"{gateway.url}/api/auth/tickets", json=body, headers=headers, timeout=20)
        assert (answer.status_code, answer.json()["code"]) == (403, "keys_cannot_manage")

    @pytest.mark.parametrize("path", ["/api/jobs", "https://evil.example/api/jobs/x/stream", "api/jobs/x/stream"])
    def test_only_streams_have_tickets(self, account: Account, path: str) -> None:
        """R-AUTH-7."""
        answer = account.client.post("/api/auth/tickets", json={"path": path})
        assert (answer.status_code, answer.json()["code"]) == (400, "ticket_no_stream")
        assert path in answer.json()["error"]


class TestRefusing:
    """R-AUTH-7: a ticket is good for that one stream."""

    def test_another_path_or_query_is_refused_and_spends_nothing(
        self, gateway: Gateway, account: Account, url: str, job_id: str
    ) -> None:
        """R-AUTH-7."""
        other = start_run(account)
        code, sentence = refused(gateway, url.replace(job_id, other))
        assert (code, "another stream" in sentence) == ("ticket_other_stream", True)
        assert httpx.get(f"{gateway.url}{url}&more=1").json()["code"] == "unknown_query"
        with opened(gateway, url) as lines:
            assert until(lines, "id:") == "id: 1"

    def test_a_second_stream_is_refused(self, gateway: Gateway, url: str) -> None:
        """R-AUTH-7: what comes without Last-Event-ID is no reconnect."""
        with opened(gateway, url) as lines:
            until(lines, "id:")
            code, sentence = refused(gateway, url)
        assert (code, "Last-Event-ID" in sentence) == ("ticket_used", True)

    def test_it_opens_nothing_but_streams(self, gateway: Gateway, url: str) -> None:
        """R-AUTH-7."""
        ticket = url.partition("?")[2]
        assert httpx.get(f"{gateway.url}/api/jobs?{ticket}").json()["code"] == "unknown_query"
        assert refused(gateway, "/api/jobs")[0] == "unauthenticated"

    def test_the_first_use_comes_in_time_with_or_without_last_event_id(
        self, gateway: Gateway, url: str, owner: sa.Engine
    ) -> None:
        """R-AUTH-7: within 30 s."""
        moved = _move(owner, "first_use_by", "created_at + interval '30 s'", "now() - interval '30 s'")
        assert moved == 1
        assert refused(gateway, url)[0] == "ticket_too_late"
        assert refused(gateway, url, **{"last-event-id": "1"})[0] == "ticket_too_late"

    def test_it_ends_with_the_access_token(self, gateway: Gateway, url: str, owner: sa.Engine) -> None:
        """R-AUTH-7: reconnects until the access token expires."""
        with opened(gateway, url) as lines:
            until(lines, "id:")
        assert _move(owner, "expires_at", "created_at + interval '15 min'", "now()") == 1
        code, sentence = refused(gateway, url, **{"last-event-id": "1"})
        assert (code, "access token" in sentence) == ("ticket_expired", True)

    def test_it_is_stored_hashed_and_never_logged(self, gateway: Gateway, url: str, owner: sa.Engine) -> None:
        """R-AUTH-7."""
        secret = url.partition("ticket=")[2]
        with opened(gateway, url) as lines:
            until(lines, "id:")
        refused(gateway, url)
        with owner.connect() as connection:
            assert secret not in str(connection.execute(sa.text("SELECT * FROM stream_tickets")).all())
        log = gateway.log.read_text()
        assert url.partition("?")[0] in log
        assert secret not in log
        assert refused(gateway, url[:-1])[0] == "ticket_unknown"


class TestRevoking:
    """R-AUTH-1, R-AUTH-7: what a session gave ends with it."""

    def test_ending_the_session_ends_open_streams_within_five_seconds(
        self, gateway: Gateway, sign_up: Callable[[], Account]
    ) -> None:
        """R-AUTH-7, R-AUTH-1: by ticket and by header."""
        account = sign_up()
        job_id = start_run(account)
        url = ticket_for(account, f"/api/jobs/{job_id}/stream")
        login = {"email": account.email, "password": PASSWORD}
        token = account.client.post("/api/auth/login", json=login).json()["data"]["access_token"]
        with (
            opened(gateway, url) as by_ticket,
            account.client.stream("GET", f"/api/jobs/{job_id}/stream") as by_header,
            httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {token}"}) as other,
        ):
            until(by_ticket, "id:")
            until(lines := by_header.iter_lines(), "id:")
            for session in other.get("/api/auth/sessions").json()["data"]:
                if not session["current"]:
                    assert other.delete(f"/api/auth/sessions/{session['id']}").status_code == 200
            began = time.monotonic()
            assert_ends(by_ticket, within_s=5)
            list(lines)
            assert time.monotonic() - began < 5
        assert refused(gateway, url, **{"last-event-id": "1"})[0] == "session_revoked"

    def test_revoking_a_key_ends_its_stream(self, gateway: Gateway, account: Account, job_id: str) -> None:
        """R-AUTH-3: a key's stream too."""
        key = account.client.post("/api/keys", json={}).json()["data"]
        headers = {"authorization": f"Bearer {key['key']}"}
        with httpx.stream("GET", f"{gateway.url}/api/jobs/{job_id}/stream", headers=headers, timeout=20) as answer:
            until(lines := answer.iter_lines(), "id:")
            assert account.client.delete(f"/api/keys/{key['id']}").status_code == 200
            assert_ends(lines, within_s=5)


def _move(owner: sa.Engine, column: str, was: str, becomes: str) -> int:
    """Give the newest ticket another time; how many were found that had the one that was promised."""
    statement = f"""
        UPDATE stream_tickets SET {column} = {becomes}
        WHERE created_at = (SELECT max(created_at) FROM stream_tickets)
          AND abs(extract(epoch FROM {column} - ({was}))) < 60
    """
    with owner.begin() as connection:
        return connection.execute(sa.text(statement)).rowcount
