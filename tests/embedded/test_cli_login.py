"""Signing in and out, and the file that keeps who is signed in."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from simorgh_cli.lock import FolderLock
from tests.embedded.program import PASSWORD, Simorgh, ended
from tests.embedded.terminal import on_terminal
from tests.support.gateway import Gateway, running_gateway
from tests.support.stack import Bucket, Database


class TestLogin:
    def test_only_the_owner_can_read_the_file_and_no_password_is_in_it(self, user: Simorgh) -> None:
        """R-API-4: a private file below XDG_CONFIG_HOME."""
        assert stat.S_IMODE(user.login_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(user.login_file.parent.stat().st_mode) == 0o700
        (kept,) = json.loads(user.login_file.read_text())["logins"]
        assert kept["refresh_token"]
        assert PASSWORD not in user.login_file.read_text()

    def test_a_password_is_asked_for_without_echo(self, gateway: Gateway, stranger: Simorgh) -> None:
        """R-API-4: twice for a new account, so that a slip makes none."""
        stranger.variables["SIMORGH_PASSWORD"] = ""
        asked = ("login", "--url", gateway.url, "--email", "typed@example.test")
        screen = on_terminal(stranger, *asked, keys=["Password: ", "a long secret\n", "no): ", "a long secret\n"])
        assert "a long secret" not in screen
        assert "as typed@example.test" in screen
        screen = on_terminal(stranger, *asked, keys=["Password: ", "another one\n", "no): ", "\n"], code=1)
        assert "password is wrong" in screen

    def test_a_wrong_password_is_refused_in_the_words_of_the_api(self, gateway: Gateway, user: Simorgh) -> None:
        """R-API-4: errors are the API's sentences on standard error."""
        email = user.ask("login", "--url", gateway.url, "--email", "right@example.test")["email"]
        user.variables = {"SIMORGH_PASSWORD": "not the password"}
        refused = user.refuse("login", "--url", gateway.url, "--email", email)
        user.variables = {}
        assert refused == "simorgh: The e-mail address or the password is wrong.\n"

    def test_without_terminal_and_password_it_says_what_is_missing(self, gateway: Gateway, stranger: Simorgh) -> None:
        """R-API-4."""
        stranger.variables["SIMORGH_PASSWORD"] = ""
        assert "SIMORGH_PASSWORD" in stranger.refuse("login", "--url", gateway.url, "--email", "x@example.test")
        assert "e-mail address is missing" in stranger.refuse("login", "--url", gateway.url)

    def test_an_api_key_signs_in_too(self, gateway: Gateway, user: Simorgh, stranger: Simorgh) -> None:
        """R-API-4: given as an option and kept, or by the environment and not kept."""
        token = json.loads(user.login_file.read_text())["logins"][0]["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        key = httpx.post(f"{gateway.url}/api/keys", json={"name": "cli"}, headers=headers).json()["data"]["key"]
        stranger.variables["SIMORGH_API_KEY"] = key
        assert stranger.ask("datasets", "--url", gateway.url) == {"datasets": []}
        assert not stranger.login_file.exists()
        del stranger.variables["SIMORGH_API_KEY"]
        stranger.run("login", "--url", gateway.url, "--api-key", key)
        assert stranger.ask("datasets") == {"datasets": []}
        assert "unknown, expired or revoked" in stranger.refuse("login", "--url", gateway.url, "--api-key", f"{key}x")
        assert stranger.ask("datasets") == {"datasets": []}

    def test_the_platform_of_the_data_folder_is_found_and_found_again_on_another_port(
        self, gateway: Gateway, stranger: Simorgh
    ) -> None:
        """R-API-4: without --url the running embedded platform's address is taken."""
        assert "Start one with simorgh up" in stranger.refuse("login", "--local", "--if-needed")
        folder = stranger.home / "data"
        running = FolderLock(folder)
        endpoints = folder / "endpoints.json"
        endpoints.write_text(json.dumps({"api_url": gateway.url}))
        # As `make voice-models` does, which asks nobody.
        for _ in range(2):
            assert stranger.ask("login", "--local", "--if-needed")["email"] == "local@simorgh.example"
        assert stranger.ask("login", "--email", "local@example.test")["url"] == gateway.url
        assert stranger.ask("login", "--local")["email"] == "local@simorgh.example"
        stranger.run("login", "--email", "local@example.test")
        assert stranger.ask("login", "--local", "--if-needed")["email"] == "local@example.test"
        endpoints.write_text(json.dumps({"api_url": gateway.url.replace("127.0.0.1", "localhost")}))
        assert stranger.ask("datasets") == {"datasets": []}
        running.release()

    def test_the_local_user_of_a_platform_elsewhere_is_nobody(self, gateway: Gateway, stranger: Simorgh) -> None:
        """R-API-4: wrong usage ends with 2."""
        assert "data folder" in stranger.refuse("login", "--local", "--url", gateway.url, code=2)
        stranger.refuse("login", "--local", "--email", "x@example.test", code=2)


class TestLogout:
    def test_the_session_ends_and_nothing_is_kept(self, gateway: Gateway, new_user: Callable[[], Simorgh]) -> None:
        """R-API-4: the tokens are of no more use to whoever copied them."""
        user = new_user()
        copied = json.loads(user.login_file.read_text())["logins"][0]
        user.run("logout")
        assert json.loads(user.login_file.read_text()) == {"logins": []}
        headers = {"authorization": f"Bearer {copied['access_token']}"}
        assert httpx.get(f"{gateway.url}/api/auth/me", headers=headers).status_code == 401
        assert "not signed in" in user.refuse("datasets", "--url", gateway.url)


class TestTokens:
    def test_commands_at_once_share_one_session_whose_tokens_renew_by_themselves(
        self, database: Database, redis_url: str, bucket: Bucket, tmp_path: Path, stranger: Simorgh
    ) -> None:
        """R-API-4, R-AUTH-1: a refresh token is good for one use, and a second use would end the session."""
        servers = {"SIMORGH_DATABASE_URL": database.url, "SIMORGH_REDIS_URL": redis_url} | bucket.environment()
        with running_gateway(tmp_path, **servers, SIMORGH_ACCESS_TOKEN_S="1") as gateway:
            stranger.run("login", "--url", gateway.url, "--email", "busy@example.test")
            before = json.loads(stranger.login_file.read_text())["logins"][0]["refresh_token"]
            for process in [stranger.start("datasets", "--json") for _ in range(6)]:
                assert ended(process) == (0, '{"datasets":[]}\n', "")
            kept = json.loads(stranger.login_file.read_text())["logins"][0]
            assert kept["refresh_token"] != before
            assert stat.S_IMODE(stranger.login_file.stat().st_mode) == 0o600

    def test_a_token_that_the_api_no_longer_takes_is_renewed_once(self, gateway: Gateway, user: Simorgh) -> None:
        """R-API-4: the clock here may be wrong, the answer of the API is not."""
        kept = json.loads(user.login_file.read_text())
        kept["logins"][0] |= {"access_token": "spoiled", "expires_at": 9e9}
        user.login_file.write_text(json.dumps(kept))
        assert user.ask("datasets", "--url", gateway.url) == {"datasets": []}


class TestKeys:
    def test_a_key_is_made_asked_with_and_ended(self, gateway: Gateway, user: Simorgh) -> None:
        """R-AUTH-3, R-API-4: standard output is the key alone; it may what it was made for, until it is ended."""
        made = user.run("keys", "create", "ci", "--scope", "read")
        key = made.stdout.strip()
        assert key.startswith("sk-simorgh-")
        asked = httpx.get(f"{gateway.url}/v1/models", headers={"authorization": f"Bearer {key}"})
        assert asked.status_code == 200
        (listed,) = (one for one in user.ask("keys")["keys"] if one["name"] == "ci")
        assert listed["scopes"] == ["read"]
        assert key not in user.run("keys").stdout
        assert "Ended key" in user.run("keys", "revoke", listed["id"]).stdout
        asked = httpx.get(f"{gateway.url}/v1/models", headers={"authorization": f"Bearer {key}"})
        assert asked.status_code == 401


class TestAddress:
    def test_without_any_address_it_says_where_one_comes_from(self, stranger: Simorgh) -> None:
        """R-API-4."""
        assert "Start one with simorgh up, or name one with --url" in stranger.refuse("datasets")

    def test_one_that_is_starting_is_told_apart(self, stranger: Simorgh, tmp_path: Path) -> None:
        """R-API-4: nobody is told to start what starts."""
        holder = FolderLock(tmp_path)
        try:
            refused = stranger.refuse("login", "--local", "--data", str(tmp_path))
        finally:
            holder.release()
        assert "ask again when simorgh up says that it is up" in refused

    def test_an_api_that_does_not_answer_is_told(self, stranger: Simorgh) -> None:
        """R-API-4."""
        refused = stranger.refuse("login", "--url", "http://127.0.0.1:9", "--email", "x@example.test")
        assert "The API at http://127.0.0.1:9 does not answer" in refused

    @pytest.mark.parametrize("url", ["ftp://example.test", "example.test:8000", "http://", "http://[::"])
    def test_what_is_no_address_is_wrong_usage(self, stranger: Simorgh, url: str) -> None:
        """R-API-4: exit code 2."""
        assert "is no address" in stranger.refuse("datasets", "--url", url, code=2)

    def test_a_damaged_login_file_is_told_and_not_overwritten(self, stranger: Simorgh, gateway: Gateway) -> None:
        """R-API-4."""
        stranger.login_file.parent.mkdir(parents=True)
        stranger.login_file.write_text("{")
        assert str(stranger.login_file) in stranger.refuse("datasets")
        stranger.refuse("login", "--url", gateway.url, "--email", "damaged@example.test")
        assert stranger.login_file.read_text() == "{"
