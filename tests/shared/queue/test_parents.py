"""Parents: they wait without a worker, run again when their children have ended, and rest or end with them."""

import pytest

from simorgh_shared.domain.jobs import DesiredState, JobStatus, JobType, Queue
from simorgh_shared.queue import control, endings, parents
from simorgh_shared.queue.submit import NewJob
from tests.support.engine import Engine

CHILD = NewJob("", JobType.PROBE, Queue.IO, {})


@pytest.fixture
def parent(engine: Engine) -> str:
    """A parent that waits for two children."""
    job_id = engine.probe()
    lease = engine.taken()
    with engine.sessions.begin() as session:
        parents.wait_for(session, lease, [CHILD, CHILD])
    return job_id


def children(engine: Engine, parent: str) -> list[str]:
    with engine.sessions() as session:
        return [child.job_id for child in parents.children(session, parent)]


def ask(engine: Engine, job_id: str, desired: DesiredState) -> None:
    with engine.sessions.begin() as session:
        control.request(session, engine.project_id, job_id, desired)


def advance(engine: Engine) -> list[str]:
    with engine.sessions.begin() as session:
        return parents.advance(session)


def finish_one(engine: Engine) -> None:
    lease = engine.taken()
    with engine.sessions.begin() as session:
        endings.succeed(session, lease, {})


class TestWaitFor:
    def test_it_waits_without_a_worker_until_all_have_ended(self, engine: Engine, parent: str) -> None:
        """R-JOB-1, architecture 5."""
        job = engine.job(parent)
        assert (job.status, job.lease_token) == ("waiting", None)
        assert {engine.job(child).project_id for child in children(engine, parent)} == {engine.project_id}
        finish_one(engine)
        assert advance(engine) == []
        finish_one(engine)
        assert advance(engine) == [parent]
        assert engine.events(parent)[-1][1:] == ("queued", {"children": {"succeeded": 2}})
        again = engine.taken()
        assert (again.job_id, again.attempt) == (parent, 2)

    def test_one_that_is_wanted_otherwise_makes_no_children(self, engine: Engine) -> None:
        job_id = engine.probe()
        lease = engine.taken()
        ask(engine, job_id, DesiredState.PAUSE)
        with engine.sessions.begin() as session:
            parents.wait_for(session, lease, [CHILD])
        assert engine.job(job_id).status == "paused"
        assert children(engine, job_id) == []


class TestWishes:
    def test_cancel_cancels_the_children_and_ends_when_the_last_worker_has_let_go(
        self, engine: Engine, parent: str
    ) -> None:
        lease = engine.taken()
        ask(engine, parent, DesiredState.CANCEL)
        assert sorted(engine.job(child).status for child in children(engine, parent)) == ["cancelled", "running"]
        assert advance(engine) == []
        with engine.sessions.begin() as session:
            endings.leave(session, lease)
        assert advance(engine) == [parent]
        assert engine.job(parent).status == "cancelled"

    @pytest.mark.parametrize(
        ("desired", "resting"), [(DesiredState.PAUSE, JobStatus.PAUSED), (DesiredState.STOP, JobStatus.STOPPED)]
    )
    def test_it_rests_when_they_do_and_goes_on_with_them(
        self, engine: Engine, parent: str, desired: DesiredState, resting: JobStatus
    ) -> None:
        finish_one(engine)
        ask(engine, parent, desired)
        assert advance(engine) == [parent]
        assert engine.job(parent).status == resting
        ask(engine, parent, DesiredState.RUN)
        assert engine.job(parent).status == "waiting"
        assert advance(engine) == []
        finish_one(engine)
        assert advance(engine) == [parent]
        assert engine.job(parent).status == "queued"

    def test_a_child_that_was_stopped_by_itself_keeps_it_waiting_and_hinders_no_wish(
        self, engine: Engine, parent: str
    ) -> None:
        first, _ = children(engine, parent)
        ask(engine, first, DesiredState.STOP)
        finish_one(engine)
        assert advance(engine) == []
        ask(engine, parent, DesiredState.PAUSE)
        assert advance(engine) == [parent]
        assert engine.job(parent).status == "paused"
