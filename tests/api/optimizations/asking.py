"""Optimisations that the tests ask for, and what is asked of the versions that they make."""

from typing import Any

from tests.api.chat.world import World, ok
from tests.support.gateway import Account

SHORT = {"dataset": "rows", "prompts": 3, "max_tokens": 4}
OPTIMIZATIONS = "/api/optimizations"


def optimize(owner: Account, world: World, **body: Any) -> dict[str, Any]:
    """The optimisation, once it has succeeded."""
    return wait_for(owner, world, ok(owner.client.post(OPTIMIZATIONS, json=SHORT | body), 202)["job"]["id"])


def wait_for(owner: Account, world: World, job_id: str) -> dict[str, Any]:
    """A job of the kind, once it has succeeded."""
    found: dict[str, Any] = {}

    def ended() -> bool:
        found.update(ok(owner.client.get(f"{OPTIMIZATIONS}/{job_id}")))
        return found["job"]["finished_at"] is not None

    world.engine.wait(ended, "the optimisation has ended", within_s=240)
    assert found["job"]["status"] == "succeeded", found["job"]["error"]
    return found


def chats(owner: Account, world: World, found: dict[str, Any], engine: str) -> None:
    """The version that was made answers as any other (R-OPT-3)."""
    body = {"model": found["model_version_id"], "messages": [{"role": "user", "content": "سلام"}], "max_tokens": 4}
    answer = owner.client.post("/v1/chat/completions", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    assert 1 <= answer.json()["usage"]["completion_tokens"] <= 4
    assert world.loaded()[found["model_version_id"]]["engine"] == engine


def version_of(owner: Account, version_id: str) -> dict[str, Any]:
    model = ok(owner.client.get(f"/api/models/{version_id}"))
    found: dict[str, Any] = next(one for one in model["versions"] if one["version_id"] == version_id)
    return found
