"""Jobs of every kind by the command line (R-API-4, R-JOB-1). No worker is there: they wait in their queues."""

import pytest

from tests.embedded.program import Simorgh


@pytest.fixture(scope="module")
def run_ids(user: Simorgh) -> list[str]:
    """Two runs, the older one first."""
    return [user.ask("train", "start", "--name", name, "--set", "max_steps=1")["runId"] for name in ("یکم", "دوم")]


class TestJobs:
    def test_they_are_listed_newest_first(self, user: Simorgh, run_ids: list[str]) -> None:
        """R-API-4: with kind, state and name, all of them or those of one kind."""
        assert [job["id"] for job in user.ask("jobs", "--type", "train")["jobs"]] == run_ids[::-1]
        header, newest, *_ = user.run("jobs", "--type", "train").stdout.splitlines()
        assert header.split() == ["JOB", "TYPE", "STATUS", "PROGRESS", "MADE", "(UTC)", "NAME"]
        assert newest.split()[:3] == [run_ids[1], "train", "queued"]
        assert newest.endswith("دوم")
        assert len(user.ask("jobs", "list", "--limit", "1")["jobs"]) == 1

    def test_one_is_cancelled(self, user: Simorgh, run_ids: list[str]) -> None:
        """R-API-4: a job that waits is cancelled at once."""
        assert user.run("jobs", "cancel", run_ids[0]).stdout == f"Job {run_ids[0]} is cancelled.\n"
        assert [job["id"] for job in user.ask("jobs", "--status", "cancelled")["jobs"]] == [run_ids[0]]
        assert run_ids[0] not in {job["id"] for job in user.ask("jobs", "--status", "queued")["jobs"]}

    def test_refusals(self, user: Simorgh) -> None:
        """R-API-4: in commands."""
        assert "simorgh" in user.refuse("jobs", "cancel", "job_none")
        assert "transcribe" in user.refuse("jobs", "--type", "dream", code=2)
        assert "There are no such jobs." in user.run("jobs", "--type", "optimize").stderr

    def test_what_one_used_is_told_once_something_was_measured(self, user: Simorgh, run_ids: list[str]) -> None:
        """R-OPS-7."""
        assert user.ask("jobs", "usage", run_ids[1])["attempts"] == []
        assert "no attempt has begun" in user.run("jobs", "usage", run_ids[1]).stderr
        assert "simorgh" in user.refuse("jobs", "usage", "job_none")
