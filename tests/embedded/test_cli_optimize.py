"""A model optimised by the command line (R-API-4, R-OPT-2)."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.embedded.program import Simorgh
from tests.support.engine import Engine, running_engine
from tests.support.gateway import Gateway
from tests.support.stack import Bucket, Database
from tests.trainer_worker.training.foreign import make_model
from tests.trainer_worker.training.work_folder import questions


@pytest.fixture(scope="module")
def engine(
    gateway: Gateway, database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A worker that optimises beside the gateway."""
    del gateway
    with running_engine(database, redis_url, bucket, tmp_path_factory.mktemp("worker")) as made:
        made.start_dispatcher()
        made.start_worker("train.cpu,optimize.cpu")
        yield made


@pytest.fixture(scope="module")
def owner(engine: Engine, new_user: Callable[[], Simorgh]) -> Simorgh:
    """Someone with a tiny Llama and rows."""
    made = new_user()
    make_model(made.home / "tiny")
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in questions(24))
    (made.home / "rows.jsonl").write_text(lines, encoding="utf-8")
    made.run("models", "upload", "tiny", "--name", "tiny")
    made.run("datasets", "upload", "rows.jsonl", "--name", "rows")
    return made


class TestOptimize:
    def test_watched_it_shows_both_and_what_was_made(self, owner: Simorgh) -> None:
        """R-OPT-2: before and after, side by side, and the gate's numbers."""
        gate = ("--min-speedup", "1000")
        options = ("--dataset", "rows", "--prompts", "2", "--method", "prune-magnitude", *gate, "--recovery-steps", "2")
        done = owner.run("optimize", "tiny", *options, "--watch", code=1)
        assert done.stdout.splitlines()[0].split() == ["BEFORE", "AFTER"]
        assert "of 1 greedy answers are the same." in done.stdout or "of 2 greedy answers" in done.stdout
        assert "Made tiny-prune-magnitude, version 1: mver_" in done.stdout
        assert "1000 times is asked for" in done.stderr

    def test_report_is_measured_again_by_one_command(self, owner: Simorgh) -> None:
        """R-OPT-2: both sides, beside what was reported; the list and the report show it."""
        (job,) = json.loads(owner.run("optimizations", "--json").stdout)["optimizations"]
        job_id = job["job"]["id"]
        assert owner.run("optimizations", "show", job_id).stdout.splitlines()[0].split() == ["BEFORE", "AFTER"]
        done = owner.run("optimizations", "check", job_id)
        lines = {line.split()[0]: line for line in done.stdout.splitlines()}
        assert lines["after.perplexity"].endswith("the same")
        assert "of the hour" in lines["after.tokens_per_s"]
        assert "measured again" in owner.run("optimizations").stdout
        measured = owner.run("models", "show", "tiny-prune-magnitude").stdout.splitlines()[-1]
        assert "perplexity" in measured
        assert "gate missed" in measured
        assert "before" not in measured

    def test_what_cannot_be_done_is_told_at_once(self, owner: Simorgh) -> None:
        done = owner.run("optimize", "tiny", "--dataset", "rows", "--method", "merge", code=1)
        assert "it is no adapter" in done.stderr
