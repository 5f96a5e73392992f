"""Keys, projects and roles: what each lets one do, and what is read when it does not."""

from collections.abc import Callable

import httpx

from tests.support.gateway import Account, Gateway


def _with_key(gateway: Gateway, key: str) -> httpx.Client:
    return httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {key}"})


class TestKeys:
    """R-AUTH-3."""

    def test_key_works_until_it_is_revoked_and_is_shown_once(
        self, gateway: Gateway, sign_up: Callable[[], Account]
    ) -> None:
        """R-AUTH-3."""
        account = sign_up()
        made = account.client.post("/api/keys", json={"name": "sdk"}).json()["data"]
        assert made["key"].startswith("sk-simorgh-")
        assert made["key"] not in account.client.get("/api/keys").text
        with _with_key(gateway, made["key"]) as client:
            assert client.get("/api/auth/me").json()["data"]["project_id"] == account.project_id
            assert account.client.delete(f"/api/keys/{made['id']}").status_code == 200
            answer = client.get("/api/auth/me")
        assert (answer.status_code, answer.json()["code"]) == (401, "api_key_invalid")

    def test_expired_key_is_refused(self, gateway: Gateway, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-3."""
        body = {"expires_at": "2020-01-01T00:00:00Z"}
        key = sign_up().client.post("/api/keys", json=body).json()["data"]["key"]
        with _with_key(gateway, key) as client:
            assert client.get("/api/auth/me").json()["code"] == "api_key_invalid"

    def test_key_makes_no_keys(self, gateway: Gateway, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-3."""
        key = sign_up().client.post("/api/keys", json={"scopes": ["admin"]}).json()["data"]["key"]
        with _with_key(gateway, key) as client:
            assert client.post("/api/keys", json={}).json()["code"] == "keys_cannot_manage"


class TestProjects:
    """R-AUTH-4."""

    def test_anothers_project_is_not_there(self, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-4: 404, not 403."""
        mine, other = sign_up(), sign_up()
        answer = mine.client.get("/api/auth/me", headers={"OpenAI-Project": other.project_id})
        assert answer.status_code == 404
        assert answer.json()["error"] == f"There is no project {other.project_id} of yours."

    def test_viewer_may_read_and_not_manage(self, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-4."""
        owner, viewer = sign_up(), sign_up()
        path = f"/api/projects/{owner.project_id}/members"
        body = {"email": viewer.email, "role": "viewer"}
        assert owner.client.put(path, json=body).status_code == 200
        chosen = {"OpenAI-Project": owner.project_id}
        assert len(viewer.client.get(path, headers=chosen).json()["data"]) == 2
        refused = viewer.client.put(path, json=body | {"role": "owner"}, headers=chosen)
        assert refused.status_code == 403
        assert refused.json()["error"] == "This needs the right to admin, and this role has only: read."

    def test_last_owner_stays(self, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-4."""
        owner = sign_up()
        path = f"/api/projects/{owner.project_id}/members"
        answer = owner.client.put(path, json={"email": owner.email, "role": "viewer"})
        assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")

    def test_preferences_choose_the_default_project(self, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-1."""
        account = sign_up()
        made = account.client.post("/api/projects", json={"name": "second"}).json()["data"]["id"]
        body = {"language": "en", "default_project_id": made}
        assert account.client.put("/api/settings", json=body).status_code == 200
        assert account.client.get("/api/settings").json()["data"]["language"] == "en"
        assert account.client.get("/api/auth/me").json()["data"]["project_id"] == made
