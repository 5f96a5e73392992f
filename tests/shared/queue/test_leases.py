"""The fenced SQL against a real PostgreSQL: claims, tokens, replays, endings, fair shares."""

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from simorgh_shared.db.models import User
from simorgh_shared.domain.errors import ConflictError, NotFoundError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import DesiredState, JobStatus, Lane, Outcome
from simorgh_shared.queue import applying, checkpoints, control, endings, leases
from simorgh_shared.queue.applying import MetricPoint
from simorgh_shared.queue.leases import Event, Lease, LeaseLostError
from simorgh_shared.queue.reaping import Reaper
from tests.support.engine import Engine


class TestFence:
    def test_a_stale_token_writes_nothing_and_is_counted(self, engine: Engine) -> None:
        """R-TRAIN-7: every write of an attempt that lost its lease is refused."""
        engine.probe()
        old = engine.taken(lease_s=0.01)
        reaper = Reaper(engine.sessions, lease_s=0.0, watch_s=0.0, backoff_s=1.0)
        engine.wait(lambda: bool(reaper.reap()), "the lease is reaped", within_s=10)
        new = engine.taken()
        before = engine.events(old.job_id)
        writes = {
            "heartbeat": lambda s: leases.heartbeat(s, old, 10),
            "apply": lambda s: applying.apply_lines(s, old, from_line=0, to_line=1, events=[Event("log")]),
            "checkpoint": lambda s: checkpoints.commit(s, old, 1, "interval", [], 3),
            "succeed": lambda s: endings.succeed(s, old, {}),
            "fail": lambda s: endings.fail(s, old, "job_failed", {"reason": "x"}),
            "leave": lambda s: endings.leave(s, old),
            "move": lambda s: endings.move(s, old, Lane.LONG, {}),
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
        engine.probe()
        lease = engine.taken()

        def apply(session: Session) -> int:
            points = [MetricPoint("loss", 1, 2.5)]
            events = [Event("metrics", {"step": 1}), Event("log", {"message": "x"})]
            return len(applying.apply_lines(session, lease, from_line=0, to_line=2, events=events, metrics=points))

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


class TestEndings:
    def test_three_crashes_in_a_row_end_the_job_with_an_explanation(self, engine: Engine) -> None:
        """R-TRAIN-11: the first retry is at once, the third crash is the last."""
        job_id = engine.probe()
        for failures in (1, 2, 3):
            held: list[Lease] = []
            engine.wait(lambda held=held: held.extend(filter(None, [engine.take()])) or bool(held), "claimed again")
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
        job_id = engine.probe()
        lease = engine.taken()
        with engine.sessions.begin() as session:
            control.request(session, engine.project_id, job_id, DesiredState.CANCEL)
        with engine.sessions.begin() as session:
            endings.succeed(session, lease, {"x": 1})
        job = engine.job(job_id)
        assert (job.status, job.result) == ("cancelled", None)

    def test_postgresql_itself_refuses_to_change_what_has_ended(self, engine: Engine) -> None:
        job_id = engine.probe()
        with engine.sessions.begin() as session:
            endings.succeed(session, engine.taken(), {})
        with pytest.raises(IntegrityError, match="never changes again"), engine.sessions.begin() as session:
            session.execute(
                sa.text("UPDATE jobs SET status = 'queued', finished_at = NULL WHERE id = :i"), {"i": job_id}
            )

    def test_work_that_was_saved_lets_failures_be_counted_anew(self, engine: Engine) -> None:
        """R-JOB-1: a long file may lose its worker more often than three times, if it goes on between."""
        job_id = engine.probe()
        for _ in range(4):
            lease = engine.taken()
            with engine.sessions.begin() as session:
                done = [Event("transcribed", {"number": 0})]
                applying.apply_lines(session, lease, from_line=0, to_line=1, events=done, saves=True)
                endings.crash(session, lease, Outcome.LOST, "lost_worker", {"worker": "w"}, backoff_s=0.01)
            assert (engine.job(job_id).status, engine.job(job_id).failures_in_row) == ("queued", 1)


class TestMove:
    """R-VOICE-1: a clip that turns out to be long becomes a job of the long lane."""

    def test_the_job_waits_on_the_other_lane_with_what_it_has_done(self, engine: Engine) -> None:
        job_id = engine.probe(lane=Lane.SHORT)
        lease = engine.taken(lanes=(Lane.SHORT,))
        with engine.sessions.begin() as session:
            applying.apply_lines(session, lease, from_line=0, to_line=1, events=[Event("transcribed", {"number": 0})])
        with engine.sessions.begin() as session:
            events = endings.move(session, lease, Lane.LONG, {"duration_s": 61.5})
        job = engine.job(job_id)
        assert (job.status, job.lane, job.failures_in_row, job.not_before) == ("queued", "long", 0, None)
        assert [(event.type, event.payload) for event in events] == [
            ("moved", {"lane": "long", "duration_s": 61.5}),
            ("queued", {"reason": "moved"}),
        ]
        assert [kind for _, kind, _ in engine.events(job_id)] == ["queued", "running", "transcribed", "moved", "queued"]
        with engine.sessions() as session:
            assert session.scalar(sa.text("SELECT outcome FROM attempts WHERE job_id = :i"), {"i": job_id}) == "moved"
        assert engine.take(lanes=(Lane.SHORT,)) is None
        assert engine.taken(lanes=(Lane.LONG,)).attempt == 2

    @pytest.mark.parametrize(
        ("desired", "status", "lane"),
        [(DesiredState.CANCEL, "cancelled", "short"), (DesiredState.PAUSE, "paused", "long")],
    )
    def test_what_the_user_wants_comes_first(
        self, engine: Engine, desired: DesiredState, status: str, lane: str
    ) -> None:
        job_id = engine.probe(lane=Lane.SHORT)
        lease = engine.taken()
        with engine.sessions.begin() as session:
            control.request(session, engine.project_id, job_id, desired)
        with engine.sessions.begin() as session:
            endings.move(session, lease, Lane.LONG, {})
        assert (engine.job(job_id).status, engine.job(job_id).lane) == (status, lane)


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
        job_id = engine.probe()
        with engine.sessions.begin() as session:
            assert control.request(session, engine.project_id, job_id, desired) is status
        assert engine.take() is None
        assert engine.events(job_id)[-1][1] == status

    def test_resuming_twice_makes_one_attempt(self, engine: Engine) -> None:
        """Fault 41."""
        job_id = engine.probe()
        for desired in (DesiredState.PAUSE, DesiredState.RUN, DesiredState.RUN):
            with engine.sessions.begin() as session:
                control.request(session, engine.project_id, job_id, desired)
        assert engine.taken().job_id == job_id
        assert engine.take() is None

    def test_an_ended_job_says_why_it_cannot_be_resumed(self, engine: Engine) -> None:
        job_id = engine.probe()
        with engine.sessions.begin() as session:
            endings.succeed(session, engine.taken(), {})
        refused = pytest.raises(ConflictError, match=r"succeeded: resume is not possible\. It has ended")
        with refused, engine.sessions.begin() as session:
            control.request(session, engine.project_id, job_id, DesiredState.RUN)

    def test_another_projects_job_does_not_exist(self, engine: Engine) -> None:
        """R-AUTH-4."""
        job_id = engine.probe()
        with pytest.raises(NotFoundError), engine.sessions.begin() as session:
            control.request(session, "proj_other", job_id, DesiredState.CANCEL)


class TestSubmit:
    def test_a_repeated_key_returns_the_first_job_and_another_body_is_refused(self, engine: Engine) -> None:
        """R-TRAIN-14."""
        first = engine.probe(idempotency_key="k", body_hash="a")
        assert engine.probe(idempotency_key="k", body_hash="a") == first
        with pytest.raises(ConflictError, match="used before with another body"):
            engine.probe(idempotency_key="k", body_hash="b")

    def test_the_retry_of_an_sdk_is_the_same_job(self, engine: Engine) -> None:
        """R-TRAIN-14: same caller, same body, lately."""
        with engine.sessions.begin() as session:
            user = User(id=new_id("user"), email="a@b.example", name="A", password_hash="-")
            session.add(user)
        mine = {"body_hash": "a", "created_by": user.id}
        first = engine.probe(**mine)
        assert engine.probe(**mine) != first, "who does not say that it is a retry wants another job"
        newest = engine.probe(**mine)
        assert engine.probe(**mine, is_retry=True) == newest
        assert engine.probe(**mine | {"body_hash": "b"}, is_retry=True) not in (first, newest)
        assert engine.probe(body_hash="a", is_retry=True) not in (first, newest), "another caller's is another job"
