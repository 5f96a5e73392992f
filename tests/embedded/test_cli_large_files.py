"""Large files by the command line: in parts, killed, and run again (R-DATA-8)."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from simorgh_shared.db.models import Upload
from tests.api.datasets.sending import io_engine, rows_of
from tests.api.datasets.sounds import metadata, wav, zipped
from tests.embedded.gate import Gate, gate_before
from tests.embedded.program import Simorgh, wait_for
from tests.support.engine import Engine
from tests.support.gateway import running_gateway
from tests.support.stack import Bucket, Database

PART = 5 << 20


@pytest.fixture(scope="module")
def engine(
    database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    with io_engine(database, redis_url, bucket, tmp_path_factory.mktemp("engine")) as made:
        yield made


@pytest.fixture
def gate(bucket: Bucket) -> Iterator[Gate]:
    with gate_before(bucket.endpoint_url) as made:
        yield made


@pytest.fixture
def user(
    engine: Engine, database: Database, redis_url: str, bucket: Bucket, gate: Gate, stranger: Simorgh, tmp_path: Path
) -> Iterator[Simorgh]:
    """Someone who reaches the storage through the gate."""
    del engine
    servers = {"SIMORGH_DATABASE_URL": database.url, "SIMORGH_REDIS_URL": redis_url} | bucket.environment()
    more = {"SIMORGH_S3_PUBLIC_URL": gate.url, "SIMORGH_UPLOAD_PART_BYTES": str(PART)}
    with running_gateway(tmp_path, **servers, **more) as gateway:
        stranger.run("login", "--url", gateway.url, "--email", f"large-{tmp_path.name}@example.test")
        yield stranger
        stranger.leave()


class TestLargeFiles:
    def test_a_client_that_was_killed_twice_goes_on_where_it_was(
        self, user: Simorgh, gate: Gate, engine: Engine, tmp_path: Path
    ) -> None:
        """R-DATA-8, R-API-4: the third run sends what is missing, and no more."""
        file = tmp_path / "large.jsonl"
        file.write_bytes(rows_of(8 * PART))
        for allowed, fewest in ((2 * PART, 0), (5 * PART, 1)):  # they go side by side: two parts' bytes may be of four
            gate.allow(allowed)
            running = user.start("datasets", "upload", str(file), "--direct", "--json")
            wait_for(lambda fewest=fewest: gate.is_holding and parts_stored(engine) >= fewest, "held part")
            running.kill()
            running.wait()
        stored = parts_stored(engine)
        assert 1 <= stored <= 7
        gate.allow(float("inf"))
        made = user.ask("datasets", "upload", str(file), "--direct")
        assert made["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert (made["name"], made["created"], made["error_count"]) == ("large.jsonl", True, 0)
        user.run("datasets", "download", made["id"], "-o", "back.jsonl")
        assert (user.home / "back.jsonl").read_bytes() == file.read_bytes()
        assert num_uploads(engine) == 1

    def test_bad_rows_are_told_as_for_small_files(self, user: Simorgh, gate: Gate, tmp_path: Path) -> None:
        """R-DATA-3, R-API-4: the job's errors below its sentence; held-out rows, name and columns go along."""
        gate.allow(float("inf"))
        bad, good = tmp_path / "bad.jsonl", tmp_path / "good.jsonl"
        bad.write_text('{"q": "یک", "a": "دو"}\n{oops\n', encoding="utf-8")
        good.write_text('{"q": "سه", "a": "چهار"}\n', encoding="utf-8")
        columns = json.dumps({"question": "q", "answer": "a"})
        told = user.refuse("datasets", "upload", str(bad), "--direct", "--columns", columns).splitlines()
        assert told[0].startswith("simorgh: 1 of 2 rows cannot be used.")
        assert told[1].startswith("  Line 2: this is not one JSON object")
        more = ("--columns", columns, "--test", str(good), "--name", "گپ", "--on-error", "skip")
        kept = user.run("datasets", "upload", str(bad), "--direct", *more)
        assert "2 qa rows" in kept.stdout
        assert "1 rows were left out" in kept.stderr
        user.refuse("datasets", "upload", str(bad), "--direct", "--columns", "oops", code=2)


class TestKinds:
    def test_rows_of_another_kind_and_clips(self, user: Simorgh, gate: Gate, tmp_path: Path) -> None:
        """R-DATA-2, R-API-4: convert waits for its dataset; archives go through a job whatever their size."""
        gate.allow(float("inf"))
        pairs = tmp_path / "pairs.jsonl"
        pairs.write_text('{"prompt": "پایتخت؟", "chosen": "تهران", "rejected": "شیراز"}\n', encoding="utf-8")
        made = user.ask("datasets", "upload", str(pairs))
        assert made["row_schema"] == "preference"
        assert "پایتخت؟ | + تهران | - شیراز" in user.run("datasets", "preview", made["id"]).stdout
        converted = user.ask("datasets", "convert", made["id"], "--to", "qa", "--name", "پاسخ")
        assert (converted["name"], converted["row_schema"], converted["rows"]) == ("پاسخ", "qa", 1)
        told = user.refuse("datasets", "convert", made["id"], "--to", "text")
        assert "They can become: qa, messages." in told
        clips = tmp_path / "clips.zip"
        clips.write_bytes(zipped({"a.wav": wav(), "metadata.jsonl": metadata({"file_name": "a.wav", "text": "سلام"})}))
        audio = user.ask("datasets", "upload", str(clips))
        assert audio["row_schema"] == "audio"
        assert "a.wav (0.5 s) | سلام" in user.run("datasets", "preview", audio["id"]).stdout


def parts_stored(engine: Engine) -> int:
    """How many parts of the one open upload storage has."""
    with engine.sessions() as session:
        upload = session.scalars(sa.select(Upload)).one()
    assert upload.storage_id is not None
    listed = engine.store.client.list_parts(Bucket=engine.bucket.name, Key=upload.key, UploadId=upload.storage_id)
    return len(listed.get("Parts", []))


def num_uploads(engine: Engine) -> int:
    """How many uploads were ever begun."""
    with engine.sessions() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(Upload)) or 0
