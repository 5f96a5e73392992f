"""Who gets which job: order, fair shares, lanes, devices."""

import threading

import sqlalchemy as sa

from simorgh_shared.db.models import Attempt, Project
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import JobType, Lane, Queue
from simorgh_shared.queue import claiming
from simorgh_shared.queue.submit import NewJob, enqueue
from tests.support.engine import Engine

TWO = {"free_devices": ("gpu-a", "gpu-b"), "num_devices": 2}
ONE_OF_TWO = {"free_devices": ("gpu-b",), "num_devices": 2}


class TestClaim:
    def test_sixteen_claimants_at_one_instant_have_one_winner(self, engine: Engine) -> None:
        """R-TRAIN-7, fault 7."""
        engine.probe()
        barrier, winners = threading.Barrier(16), []

        def race() -> None:
            barrier.wait()
            lease = engine.take()
            if lease is not None:
                winners.append(lease)

        threads = [threading.Thread(target=race) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(winners) == 1
        assert engine.job(winners[0].job_id).attempt == 1

    def test_higher_priority_comes_first(self, engine: Engine) -> None:
        """R-TRAIN-8's order."""
        engine.probe()
        urgent = engine.probe(priority=5)
        assert engine.taken().job_id == urgent

    def test_a_project_that_comes_late_does_not_wait_behind_all_of_a_busy_one(self, engine: Engine) -> None:
        """R-TRAIN-8: fair shares."""
        first = [engine.probe() for _ in range(5)]
        other = new_id("proj")
        with engine.sessions.begin() as session:
            session.add(Project(id=other, name="other"))
        with engine.sessions.begin() as session:
            late = enqueue(session, NewJob(other, JobType.PROBE, Queue.IO, {}))
        order = [engine.taken().job_id for _ in range(6)]
        assert order.index(late) <= 1
        assert [job for job in order if job != late] == first

    def test_a_job_that_needs_a_gpu_is_left_to_those_who_have_one(self, engine: Engine) -> None:
        engine.probe(num_gpus=1)
        assert engine.take() is None

    def test_a_lost_commit_answer_can_be_read_back(self, engine: Engine) -> None:
        engine.probe(num_gpus=1)
        lease = engine.taken(**TWO)
        with engine.sessions() as session:
            assert claiming.claimed_by(session, "w", lease.token) == lease
            assert claiming.claimed_by(session, "w", "another") is None


class TestLanes:
    def test_a_slot_for_short_work_leaves_long_work_alone(self, engine: Engine) -> None:
        """Architecture 5: two long files never hold up a clip."""
        engine.probe(lane=Lane.LONG, priority=9)
        clip = engine.probe(lane=Lane.SHORT)
        assert engine.taken(lanes=(Lane.SHORT,)).job_id == clip
        assert engine.take(lanes=(Lane.SHORT,)) is None

    def test_the_lease_tells_the_lane(self, engine: Engine) -> None:
        for lane in Lane:
            engine.probe(lane=lane)
            assert engine.taken(lanes=(lane,)).lane is lane


class TestDevices:
    """Architecture 5: a job takes its devices with the claim; one for many gets them as they fall free."""

    def test_a_job_holds_as_many_devices_as_it_needs(self, engine: Engine) -> None:
        engine.probe(num_gpus=1)
        lease = engine.taken(**TWO)
        assert lease.devices == ("gpu-a",)
        with engine.sessions() as session:
            assert session.scalar(sa.select(Attempt.devices).where(Attempt.job_id == lease.job_id)) == ["gpu-a"]

    def test_a_job_for_more_than_are_free_is_passed_over_at_first(self, engine: Engine) -> None:
        engine.probe(num_gpus=2)
        small = engine.probe(num_gpus=1)
        assert engine.taken(**ONE_OF_TWO).job_id == small

    def test_once_it_has_waited_long_devices_are_kept_for_it(self, engine: Engine) -> None:
        large = engine.probe(num_gpus=2)
        engine.probe(num_gpus=1)
        urgent = engine.probe(num_gpus=1, priority=5)
        without = engine.probe(num_gpus=0)
        patience = {"reserve_after_s": 0.0}
        assert engine.taken(**ONE_OF_TWO, **patience).job_id == urgent, "a higher priority still comes first"
        assert engine.taken(**ONE_OF_TWO, **patience).job_id == without, "it takes no device away"
        assert engine.take(**ONE_OF_TWO, **patience) is None
        lease = engine.taken(**TWO, **patience)
        assert (lease.job_id, lease.devices) == (large, ("gpu-a", "gpu-b"))

    def test_nothing_is_kept_for_a_job_that_this_worker_can_never_run(self, engine: Engine) -> None:
        engine.probe(num_gpus=3)
        small = engine.probe(num_gpus=1)
        assert engine.taken(**ONE_OF_TWO, reserve_after_s=0.0).job_id == small
