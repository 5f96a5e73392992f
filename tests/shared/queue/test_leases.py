"""The fenced SQL against a real PostgreSQL: claims, tokens, replays, endings, fair shares."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from simorgh_shared.db.models import Project
from simorgh_shared.domain.errors import ConflictError, NotFoundError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import DesiredState, JobStatus, JobType, Lane, Outcome, Queue
from simorgh_shared.queue import control, endings, leases
from simorgh_shared.queue.leases import Event, Lease, LeaseLostError, MetricPoint
from simorgh_shared.queue.reaping import Reaper
from simorgh_shared.queue.submit import NewJob, enqueue
from tests.support.engine import Engine, new_token, running_engine
from tests.support.stack import Bucket, Database


@pytest.fixture
def engine(fresh_database: Database, redis_url: str, bucket: Bucket, tmp_path: Path) -> Iterator[Engine]:
    with running_engine(fresh_database, redis_url, bucket, tmp_path) as made:
        yield made


def probe(engine: Engine, **more: object) -> str:
    return engine.submit(JobType.PROBE, Queue.IO, {}, **more)


def take(engine: Engine, worker: str = "w", lease_s: float = 60) -> Lease | None:
    with engine.sessions.begin() as session:
        return leases.claim(
            session, worker=worker, token=new_token(), queues=["io"], lanes=[Lane.LONG, Lane.SHORT], lease_s=lease_s
        )


def taken(engine: Engine, **more: float) -> Lease:
    lease = take(engine, **more)
    assert lease is not None
    return lease


class TestClaim:
    def test_sixteen_claimants_at_one_instant_have_one_winner(self, engine: Engine) -> None:
        """R-TRAIN-7, fault 7."""
        probe(engine)
        barrier, winners = threading.Barrier(16), []

        def race() -> None:
            barrier.wait()
            lease = take(engine)
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
        probe(engine)
        urgent = probe(engine, priority=5)
        assert taken(engine).job_id == urgent

    def test_a_project_that_comes_late_does_not_wait_behind_all_of_a_busy_one(self, engine: Engine) -> None:
        """R-TRAIN-8: fair shares."""
        first = [probe(engine) for _ in range(5)]
        other = new_id("proj")
        with engine.sessions.begin() as session:
            session.add(Project(id=other, name="other"))
        with engine.sessions.begin() as session:
            late = enqueue(session, NewJob(other, JobType.PROBE, Queue.IO, {}))
        order = [taken(engine).job_id for _ in range(6)]
        assert order.index(late) <= 1
        assert [job for job in order if job != late] == first

    def test_a_job_that_needs_a_gpu_is_left_to_those_who_have_one(self, engine: Engine) -> None:
        probe(engine, num_gpus=1)
        assert take(engine) is None


class TestFence:
    def test_a_stale_token_writes_nothing_and_is_counted(self, engine: Engine) -> None:
        """R-TRAIN-7: every write of an attempt that lost its lease is refused."""
        probe(engine)
        old = taken(engine, lease_s=0.01)
        reaper = Reaper(engine.sessions, lease_s=0.0, watch_s=0.0, backoff_s=1.0)
        engine.wait(lambda: bool(reaper.reap()), "the lease is reaped", within_s=10)
        new = taken(engine)
        before = engine.events(old.job_id)
        writes = {
            "heartbeat": lambda s: leases.heartbeat(s, old, 10),
            "apply": lambda s: leases.apply_lines(s, old, from_line=0, to_line=1, events=[Event("log")]),
            "checkpoint": lambda s: endings.commit_checkpoint(s, old, 1, "interval", [], 3),
            "succeed": lambda s: endings.succeed(s, old, {}),
            "fail": lambda s: endings.fail(s, old, "job_failed", {"reason": "x"}),
            "leave": lambda s: endings.leave(s, old),
        }
        for name, write in writes.items():
            with pytest.raises(LeaseLostError), engine.sessions.begin() as session:
                write(session)
            leases.note_stale_write(engine.sessions, old, name)
        assert engine.events(old.job_id) == before
        assert engine.job(old.job_id).lease_token == new.token
        with engine.sessions() as session:
            assert session.scalar(sa.text("SELECT count(*) FROM stale_writes")) == len(writes)

    def test_replayed_lines_apply_nothing(self, engine: Engine) -> None:
        """Exactly once: `applied_line` moves from its expected value or not at all."""
        probe(engine)
        lease = taken(engine)

        def apply(session: Session) -> int:
            points = [MetricPoint("loss", 1, 2.5)]
            events = [Event("metrics", {"step": 1}), Event("log", {"message": "x"})]
            return len(leases.apply_lines(session, lease, from_line=0, to_line=2, events=events, metrics=points))

        with engine.sessions.begin() as session:
            assert apply(session) == 2
        with engine.sessions.begin() as session:
            assert apply(session) == 0
        assert [(seq, kind) for seq, kind, _ in engine.events(lease.job_id)] == [
            (1, "queued"),
            (2, "running"),
            (3, "metrics"),
            (4, "log"),
        ]
        assert engine.losses(lease.job_id) == {1: 2.5}

    def test_a_lost_commit_answer_can_be_read_back(self, engine: Engine) -> None:
        probe(engine)
        lease = taken(engine)
        with engine.sessions() as session:
            assert leases.claimed_by(session, "w", lease.token) == lease


class TestEndings:
    def test_three_crashes_in_a_row_end_the_job_with_an_explanation(self, engine: Engine) -> None:
        """R-TRAIN-11: the first retry is at once, the third crash is the last."""
        job_id = probe(engine)
        for failures in (1, 2, 3):
            held: list[Lease] = []
            engine.wait(lambda held=held: held.extend(filter(None, [take(engine)])) or bool(held), "claimed again")
            with engine.sessions.begin() as session:
                endings.crash(
                    session, held[0], Outcome.CRASHED, "child_crashed", {"how": "signal 9", "tail": "…"}, backoff_s=0.01
                )
            assert engine.job(job_id).failures_in_row == failures
        job = engine.job(job_id)
        assert job.status == "failed"
        assert "signal 9 3 times in a row" in job.error["message"]

    def test_a_job_asked_to_be_cancelled_while_it_finished_is_cancelled_without_a_result(self, engine: Engine) -> None:
        """Fault 39: cancel racing completion ends in one terminal state."""
        job_id = probe(engine)
        lease = taken(engine)
        with engine.sessions.begin() as session:
            control.request(session, engine.project_id, job_id, DesiredState.CANCEL)
        with engine.sessions.begin() as session:
            endings.succeed(session, lease, {"x": 1})
        job = engine.job(job_id)
        assert (job.status, job.result) == ("cancelled", None)

    def test_postgresql_itself_refuses_to_change_what_has_ended(self, engine: Engine) -> None:
        job_id = probe(engine)
        with engine.sessions.begin() as session:
            endings.succeed(session, taken(engine), {})
        with pytest.raises(IntegrityError, match="never changes again"), engine.sessions.begin() as session:
            session.execute(
                sa.text("UPDATE jobs SET status = 'queued', finished_at = NULL WHERE id = :i"), {"i": job_id}
            )


class TestControl:
    @pytest.mark.parametrize(
        ("desired", "status"),
        [
            (DesiredState.PAUSE, JobStatus.PAUSED),
            (DesiredState.STOP, JobStatus.STOPPED),
            (DesiredState.CANCEL, JobStatus.CANCELLED),
        ],
    )
    def test_a_queued_job_changes_at_once_and_never_starts(
        self, engine: Engine, desired: DesiredState, status: JobStatus
    ) -> None:
        """R-JOB-1, fault 40."""
        job_id = probe(engine)
        with engine.sessions.begin() as session:
            assert control.request(session, engine.project_id, job_id, desired) is status
        assert take(engine) is None
        assert engine.events(job_id)[-1][1] == status

    def test_resuming_twice_makes_one_attempt(self, engine: Engine) -> None:
        """Fault 41."""
        job_id = probe(engine)
        for desired in (DesiredState.PAUSE, DesiredState.RUN, DesiredState.RUN):
            with engine.sessions.begin() as session:
                control.request(session, engine.project_id, job_id, desired)
        assert taken(engine).job_id == job_id
        assert take(engine) is None

    def test_an_ended_job_says_why_it_cannot_be_resumed(self, engine: Engine) -> None:
        job_id = probe(engine)
        with engine.sessions.begin() as session:
            endings.succeed(session, taken(engine), {})
        refused = pytest.raises(ConflictError, match=r"succeeded: resume is not possible\. It has ended")
        with refused, engine.sessions.begin() as session:
            control.request(session, engine.project_id, job_id, DesiredState.RUN)

    def test_another_projects_job_does_not_exist(self, engine: Engine) -> None:
        """R-AUTH-4."""
        job_id = probe(engine)
        with pytest.raises(NotFoundError), engine.sessions.begin() as session:
            control.request(session, "proj_other", job_id, DesiredState.CANCEL)


class TestSubmit:
    def test_a_repeated_key_returns_the_first_job_and_another_body_is_refused(self, engine: Engine) -> None:
        """R-TRAIN-14."""
        first = probe(engine, idempotency_key="k", idempotency_hash="a")
        assert probe(engine, idempotency_key="k", idempotency_hash="a") == first
        with pytest.raises(ConflictError, match="used before with another body"):
            probe(engine, idempotency_key="k", idempotency_hash="b")
