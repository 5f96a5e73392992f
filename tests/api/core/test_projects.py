"""A project's own name and rules over HTTP."""

from collections.abc import Callable

import pytest

from tests.api.datasets.uploading import ok
from tests.support.gateway import Account


class TestChange:
    def test_its_name_and_how_many_checkpoints_stay(self, sign_up: Callable[[], Account]) -> None:
        """R-MODEL-5: what is left out stays, null is the platform's setting again."""
        account = sign_up()
        path = f"/api/projects/{account.project_id}"
        assert ok(account.client.patch(path, json={"checkpoints_kept": 7}))["checkpoints_kept"] == 7
        changed = ok(account.client.patch(path, json={"name": "خانه"}))
        assert (changed["name"], changed["checkpoints_kept"]) == ("خانه", 7)
        ok(account.client.patch(path, json={"checkpoints_kept": None}))
        assert ok(account.client.get("/api/projects"))[0]["checkpoints_kept"] is None

    @pytest.mark.parametrize("kept", [0, 1_001, "x"])
    def test_a_number_that_cannot_be(self, sign_up: Callable[[], Account], kept: object) -> None:
        account = sign_up()
        answer = account.client.patch(f"/api/projects/{account.project_id}", json={"checkpoints_kept": kept})
        assert answer.status_code == 422

    def test_anothers_project_does_not_exist(self, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-4."""
        mine, other = sign_up(), sign_up()
        assert other.client.patch(f"/api/projects/{mine.project_id}", json={"name": "x"}).status_code == 404
