"""Signing up and in over HTTP, and what a person reads when it is refused."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest

from simorgh_api.auth import Tokens
from simorgh_shared.domain.errors import UnauthenticatedError
from tests.support.gateway import PASSWORD, Account, Gateway


class TestSignIn:
    """R-AUTH-1: accounts, tokens and sessions."""

    def test_me_tells_who_is_asking_and_in_which_project(self, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-1, R-AUTH-4."""
        account = sign_up()
        data = account.client.get("/api/auth/me").json()["data"]
        assert (data["user"]["email"], data["project_id"], data["role"]) == (account.email, account.project_id, "owner")

    def test_wrong_password_and_unknown_account_read_the_same(self, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-1: the answer does not tell whether the account exists."""
        account = sign_up()
        wrong = account.client.post("/api/auth/login", json={"email": account.email, "password": "no"})
        unknown = account.client.post("/api/auth/login", json={"email": "x@example.test", "password": "no"})
        assert wrong.status_code == unknown.status_code == 401
        assert wrong.json()["error"] == unknown.json()["error"] == "The e-mail address or the password is wrong."
        assert wrong.headers["content-type"] == "application/problem+json"
        assert wrong.json()["request_id"] == wrong.headers["x-request-id"]

    def test_expired_token_says_so(self, gateway: Gateway, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-1."""
        account = sign_up()
        key = gateway.environment["SIMORGH_SIGNING_KEY"]
        old = Tokens(key, [], 60).make("user_x", "sess_x", datetime.now(UTC) - timedelta(hours=1))
        answer = account.client.get("/api/auth/me", headers={"authorization": f"Bearer {old}"})
        assert answer.status_code == 401
        assert "has expired" in answer.json()["error"]

    def test_used_refresh_token_ends_the_session_at_once(self, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-1: rotation; a reused token revokes its family, access tokens too."""
        account = sign_up()
        body = {"refresh_token": account.refresh_token}
        first = account.client.post("/api/auth/refresh", json=body)
        again = account.client.post("/api/auth/refresh", json=body)
        assert (first.status_code, again.status_code) == (200, 401)
        assert again.json()["code"] == "refresh_reused"
        assert account.client.get("/api/auth/me").json()["code"] == "session_revoked"
        next_token = first.json()["data"]["refresh_token"]
        assert account.client.post("/api/auth/refresh", json={"refresh_token": next_token}).status_code == 401

    def test_of_concurrent_refreshes_one_wins(self, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-1."""
        account = sign_up()
        body = {"refresh_token": account.refresh_token}
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: account.client.post("/api/auth/refresh", json=body), range(6)))
        assert sorted(answer.status_code for answer in answers) == [200, *[401] * 5]

    def test_logout_ends_the_access_token(self, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-1."""
        account = sign_up()
        assert account.client.post("/api/auth/logout").json() == {"ok": True, "data": {"done": True}}
        assert account.client.get("/api/auth/me").status_code == 401

    def test_a_session_is_listed_and_ending_it_ends_its_access_token(self, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-1: fails within 5 s; here at once."""
        account = sign_up()
        other = account.client.post("/api/auth/login", json={"email": account.email, "password": PASSWORD}).json()
        headers = {"authorization": f"Bearer {other['data']['access_token']}"}
        assert account.client.get("/api/auth/me", headers=headers).status_code == 200
        listed = account.client.get("/api/auth/sessions").json()["data"]
        (ended,) = [session["id"] for session in listed if not session["current"]]
        assert account.client.delete(f"/api/auth/sessions/{ended}").status_code == 200
        assert account.client.get("/api/auth/me", headers=headers).json()["code"] == "session_revoked"
        assert account.client.get("/api/auth/me").status_code == 200

    def test_verify_tells_whose_token_it_is_or_why_it_is_not_good(self, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-1."""
        account = sign_up()
        good = account.client.post("/api/auth/verify", json={}).json()["data"]
        assert good["valid"]
        assert good["user_id"] == account.client.get("/api/auth/me").json()["data"]["user"]["id"]
        bad = account.client.post("/api/auth/verify", json={"token": "no.such.token"}).json()["data"]
        assert (bad["valid"], "not one that this server gave" in bad["reason"]) == (False, True)

    @pytest.mark.parametrize("forged", ["none", "audience", "refresh"])
    def test_a_token_that_was_not_made_for_access_is_refused(
        self, gateway: Gateway, sign_up: Callable[[], Account], forged: str
    ) -> None:
        """R-AUTH-2: algorithms, audience and type are pinned."""
        account = sign_up()
        claims = jwt.decode(account.access_token, options={"verify_signature": False})
        header = {"kid": jwt.get_unverified_header(account.access_token)["kid"]}
        key = gateway.environment["SIMORGH_SIGNING_KEY"]
        token = {
            "none": lambda: jwt.encode(claims, "", "none", headers=header),
            "audience": lambda: jwt.encode(claims | {"aud": "another"}, key, "HS256", headers=header),
            "refresh": lambda: jwt.encode(claims | {"typ": "refresh"}, key, "HS256", headers=header),
        }[forged]()
        answer = account.client.get("/api/auth/me", headers={"authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")

    def test_a_former_key_still_verifies_after_a_rotation(self) -> None:
        """R-AUTH-2: several verification keys, one signing key."""
        now = datetime.now(UTC)
        old, new = Tokens("o" * 40, [], 900), Tokens("n" * 40, ["o" * 40], 900)
        assert new.read(old.make("user_1", "sess_1", now)).user_id == "user_1"
        with pytest.raises(UnauthenticatedError, match="not one that this server gave"):
            old.read(new.make("user_1", "sess_1", now))

    def test_taken_address_is_a_conflict_that_sdks_do_not_retry(self, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-1, R-API-3."""
        account = sign_up()
        answer = account.client.post("/api/auth/register", json={"email": account.email.upper(), "password": PASSWORD})
        assert answer.status_code == 409
        assert answer.headers["x-should-retry"] == "false"
        assert account.email in answer.json()["error"]

    def test_unknown_field_is_named_with_the_known_ones(self, sign_up: Callable[[], Account]) -> None:
        """R-API-3: 422 in sentences, and never the password."""
        body = {"email": "a@example.test", "password": "geheim", "nick": "x"}
        answer = sign_up().client.post("/api/auth/register", json=body)
        assert answer.status_code == 422
        assert "Unknown parameter nick. Known parameters: email, password, name." in answer.json()["errors"]
        assert "geheim" not in answer.text


class TestSurfaces:
    """R-API-3, R-API-5, R-OPS-4: what every answer has."""

    def test_each_surface_has_its_own_error_shape(self, gateway: Gateway) -> None:
        """R-API-3."""
        native = httpx.get(f"{gateway.url}/api/nothing", headers={"x-request-id": "mine-1"})
        openai = httpx.get(f"{gateway.url}/v1/nothing")
        assert (native.json()["code"], native.headers["x-request-id"]) == ("not_found_route", "mine-1")
        assert openai.json()["error"]["type"] == "invalid_request_error"

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            (b"{oops", "it is no JSON (Expecting property name enclosed in double quotes, at character 1)"),
            (b'{"email": "\\ud800@x"}', "email"),
            (b'{"\\ud800": 1}', "valid string"),
            (b"[1]", "the body"),
        ],
    )
    def test_a_body_that_cannot_be_read_is_the_senders_mistake(self, gateway: Gateway, body: bytes, says: str) -> None:
        """R-API-3: half a surrogate pair too is told in a sentence."""
        headers = {"content-type": "application/json"}
        answer = httpx.post(f"{gateway.url}/api/auth/login", content=body, headers=headers)
        assert answer.status_code == 422, answer.text
        assert says in answer.text

    def test_openai_clients_read_a_400(self, sign_up: Callable[[], Account]) -> None:
        """R-API-3: 422 is no status of theirs."""
        answer = sign_up().client.post("/v1/chat/completions", content=b"[1]")
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == "invalid_request_error"

    def test_only_configured_origins_may_read(self, gateway: Gateway) -> None:
        """R-API-5."""
        mine = httpx.get(f"{gateway.url}/livez", headers={"origin": "http://studio.example"})
        other = httpx.get(f"{gateway.url}/livez", headers={"origin": "http://evil.example"})
        assert mine.headers["access-control-allow-origin"] == "http://studio.example"
        assert "access-control-allow-origin" not in other.headers
        assert mine.headers["x-content-type-options"] == "nosniff"

    def test_readiness_names_each_part(self, gateway: Gateway) -> None:
        """R-OPS-4."""
        data = httpx.get(f"{gateway.url}/readyz").json()["data"]
        assert data["parts"] == dict.fromkeys(("database", "migrations", "storage", "broker"), "ok")

    def test_metrics_label_routes_by_template(self, gateway: Gateway) -> None:
        """R-OPS-5: labels are bounded."""
        httpx.get(f"{gateway.url}/api/nothing-{'x' * 20}")
        text = httpx.get(f"{gateway.url}/metrics").text
        assert "simorgh_http_requests_total" in text
        assert "nothing-xxxx" not in text
