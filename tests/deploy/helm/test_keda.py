"""KEDA counts the jobs that wait and run, and asks for as many pods as they need (R-DEPLOY-3)."""

from collections.abc import Iterator
from math import ceil
from typing import Any

import pytest
import sqlalchemy as sa

from simorgh_shared.domain.jobs import JobStatus, Queue
from tests.deploy.helm.rendering import Json, kinds, named, rendered
from tests.support.stack import Database

_INSERT = """
INSERT INTO jobs (id, project_id, type, queue, spec, fair_key, status, num_gpus,
                  lease_owner, lease_token, lease_expires_at, finished_at, error)
VALUES (:id, 'prj_keda', 'probe', :queue, '{}', 0, :status, :gpus,
        CASE WHEN :status = 'running' THEN 'w' END,
        CASE WHEN :status = 'running' THEN :id END,
        CASE WHEN :status = 'running' THEN now() END,
        CASE WHEN :status IN ('succeeded', 'failed', 'cancelled') THEN now() END,
        CASE WHEN :status = 'failed' THEN '{}'::jsonb END)
"""


@pytest.fixture(scope="module")
def connection(database: Database) -> Iterator[sa.Connection]:
    """To a database with a job of each state in each queue: as the role that KEDA uses."""
    jobs = [
        {"id": f"job_{queue}_{status}", "queue": queue, "status": status, "gpus": 2 if queue.endswith("gpu") else 0}
        for queue in Queue
        for status in JobStatus
    ]
    with sa.create_engine(database.owner_url, poolclass=sa.NullPool).begin() as arranging:
        arranging.execute(sa.text("INSERT INTO projects (id, name) VALUES ('prj_keda', 'keda')"))
        arranging.execute(sa.text(_INSERT), jobs)
    with sa.create_engine(database.url, poolclass=sa.NullPool).connect() as asking:
        yield asking


def _trigger(item: Json) -> Json:
    (trigger,) = item["spec"]["triggers"]
    metadata: Json = trigger["metadata"]
    return metadata


@pytest.mark.parametrize(
    ("values", "kind", "name", "counted", "pods"),
    [
        ("keda", "ScaledObject", "trainer-cpu", 4, 4),  # two queues, one job at a time
        ("keda", "ScaledObject", "io", 2, 1),  # four at a time
        ("keda", "ScaledObject", "voice-cpu", 2, 1),  # two at a time
        ("keda", "ScaledJob", "trainer-gpu", 4, 4),  # GPUs, one in each pod
        ("trial-keda", "ScaledJob", "trainer-gpu", 4, 1),  # GPUs, four in each pod
        ("keda", "ScaledJob", "voice-gpu", 2, 1),
    ],
)
def test_as_many_pods_as_jobs_need(
    connection: sa.Connection, values: str, kind: str, name: str, counted: int, pods: int
) -> None:
    """The queries, on the real schema: queued and running jobs count, and no others."""
    trigger = _trigger(named(rendered(values), kind, f"simorgh-{name}"))
    found: Any = connection.scalar(sa.text(trigger["query"]))
    assert int(found) == counted
    assert ceil(int(found) / int(trigger["targetQueryValue"])) == pods


def test_nothing_to_do_is_zero_and_not_nothing(connection: sa.Connection) -> None:
    """KEDA takes no NULL."""
    for kind in ("ScaledObject", "ScaledJob"):
        for item in kinds(rendered("keda"), kind):
            nowhere = _trigger(item)["query"].replace("FROM jobs WHERE", "FROM jobs WHERE false AND")
            assert connection.scalar(sa.text(nowhere)) == 0


def test_every_queue_of_a_worker_is_counted() -> None:
    """Those of its command line."""
    for kind in ("ScaledObject", "ScaledJob"):
        for item in kinds(rendered("keda"), kind):
            template = (
                item["spec"].get("jobTargetRef", {}).get("template")
                or named(rendered("keda"), "Deployment", item["metadata"]["name"])["spec"]["template"]
            )
            command = template["spec"]["containers"][0]["command"]
            for queue in command[command.index("--queues") + 1].split(","):
                assert f"'{queue}'" in _trigger(item)["query"]


def test_gpu_pools_are_jobs_that_end_by_themselves() -> None:
    """No running trainer is stopped: neither by a smaller count, nor by an upgrade, nor by a node that is saved."""
    assert {item["metadata"]["name"] for item in kinds(rendered("keda"), "Deployment")}.isdisjoint(
        {"simorgh-trainer-gpu", "simorgh-voice-gpu"}
    )
    for item in kinds(rendered("keda"), "ScaledJob"):
        template = item["spec"]["jobTargetRef"]["template"]
        assert template["spec"]["containers"][0]["command"][-2] == "--exit-when-idle"
        assert template["spec"]["restartPolicy"] == "Never"
        assert template["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "true"
        assert item["spec"]["rollout"] == {"strategy": "gradual"}


def test_without_keda_the_number_of_pods_is_fixed() -> None:
    for name in ("trainer-gpu", "voice-gpu", "trainer-cpu", "io", "voice-cpu"):
        assert named(rendered("gpu"), "Deployment", f"simorgh-{name}")["spec"]["replicas"] == 1
    assert [item for item in rendered("gpu") if item["apiVersion"].startswith("keda")] == []


def test_keda_gets_the_address_from_the_secret() -> None:
    (authentication,) = kinds(rendered("keda"), "TriggerAuthentication")
    assert authentication["spec"]["secretTargetRef"] == [
        {"parameter": "connection", "name": "platform-database", "key": "database-keda-url"}
    ]
