"""R-OPS-5: what waits and runs in each queue, told by the dispatcher that has the duty."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from simorgh_api.dispatcher import depths
from simorgh_api.dispatcher.depths import DepthCollector, Depths
from simorgh_shared.domain.jobs import Lane, Queue
from tests.support.engine import Engine, running_engine
from tests.support.stack import Bucket, Database


@pytest.fixture
def engine(fresh_database: Database, redis_url: str, bucket: Bucket, tmp_path: Path) -> Iterator[Engine]:
    with running_engine(fresh_database, redis_url, bucket, tmp_path) as made:
        yield made


def change(engine: Engine, statement: str, job_id: str) -> None:
    with engine.sessions.begin() as session:
        session.execute(sa.text(statement), {"id": job_id})


class TestRead:
    def test_jobs_are_counted_by_queue_lane_and_state(self, engine: Engine) -> None:
        running, _, later = engine.probe(priority=5), engine.probe(), engine.probe()
        engine.probe(lane=Lane.SHORT)
        assert engine.taken().job_id == running
        change(engine, "UPDATE jobs SET not_before = clock_timestamp() + interval '1 hour' WHERE id = :id", later)
        with engine.sessions() as session:
            found = depths.read(session)
        assert found.jobs == {
            ("io", "long", "running"): 1,
            ("io", "long", "queued"): 1,
            ("io", "long", "delayed"): 1,
            ("io", "short", "queued"): 1,
        }

    def test_the_oldest_is_the_one_that_has_been_eligible_longest(self, engine: Engine) -> None:
        """A job that is tried again counts from when it may be, not from when it was sent."""
        oldest, again = engine.probe(), engine.probe(lane=Lane.SHORT)
        change(engine, "UPDATE jobs SET queued_at = queued_at - interval '1 hour' WHERE id = :id", oldest)
        change(
            engine,
            "UPDATE jobs SET queued_at = queued_at - interval '1 hour',"
            " not_before = clock_timestamp() - interval '1 minute' WHERE id = :id",
            again,
        )
        with engine.sessions() as session:
            found = depths.read(session)
        assert found.oldest_s[("io", "long")] == pytest.approx(3_600, abs=30)
        assert found.oldest_s[("io", "short")] == pytest.approx(60, abs=30)

    def test_slots_are_those_of_workers_that_live_and_do_not_drain(self, engine: Engine) -> None:
        with engine.sessions.begin() as session:
            for name, draining, age in (("a", False, 0), ("b", True, 0), ("c", False, 120)):
                session.execute(
                    sa.text(
                        "INSERT INTO workers (id, queues, lanes, devices, slots, draining, heartbeat_at) VALUES (:id,"
                        " '{io,train.cpu}', '{long}', '[]', 4, :draining,"
                        " clock_timestamp() - make_interval(secs => :age))"
                    ),
                    {"id": name, "draining": draining, "age": age},
                )
        with engine.sessions() as session:
            assert depths.read(session).slots == {"io": 4, "train.cpu": 4}


class TestDepthCollector:
    def test_it_tells_zeros_too_for_every_queue_and_lane(self) -> None:
        """An alert on a queue without workers compares with a zero that has to be there."""
        collector = DepthCollector()
        collector.last = Depths({}, {}, {})
        told = {family.name: len(family.samples) for family in collector.collect()}
        num_lanes = len(Queue) * len(Lane)
        assert told == {
            "simorgh_queue_jobs": num_lanes * len(depths.STATES),
            "simorgh_queue_oldest_seconds": num_lanes,
            "simorgh_queue_slots": len(Queue),
        }

    def test_one_without_the_duty_tells_nothing(self) -> None:
        assert list(DepthCollector().collect()) == []
