"""R-DEPLOY-5: each migration goes both ways, and runs while the release before it works (fault 46)."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from simorgh_shared import health
from simorgh_shared.db import migrate
from simorgh_shared.db.migrations.scripts import make_index_beside_writers
from simorgh_shared.db.revision import head_revision
from tests.support.older_release import OlderRelease
from tests.support.stack import Database

_LONG_S = 1.5  # the gateway's statements give up after 2 s; a migration waits up to 1 s for a lock, and holds others
_MANY_ROWS = 2_000
_FIRST_RELEASE = "0015"
"""Those up to it made the schema before there was a release; whether they look at every row is not asked."""
_STRONG = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")

_SEEDS = {
    "users": "INSERT INTO users (id, email, name, password_hash) VALUES ('u', 'a@example.test', 'A', '-')",
    "projects": "INSERT INTO projects (id, name) VALUES ('p', 'P')",
    "memberships": "INSERT INTO memberships (project_id, user_id, role) VALUES ('p', 'u', 'owner')",
    "user_settings": "INSERT INTO user_settings (user_id, default_project_id) VALUES ('u', 'p')",
    "sessions": "INSERT INTO sessions (id, user_id, expires_at) VALUES ('s', 'u', now())",
    "refresh_tokens": "INSERT INTO refresh_tokens (token_hash, session_id, expires_at) VALUES ('t', 's', now())",
    "api_keys": "INSERT INTO api_keys (id, project_id, user_id, name, prefix, key_hash, scopes)"
    " VALUES ('k', 'p', 'u', 'K', 'x', 'h', '{read}')",
    "blobs": "INSERT INTO blobs (sha256, key, bytes) VALUES (repeat('a', 64), 'blobs/a', 1)",
    "manifests": "INSERT INTO manifests (id, kind) VALUES ('m', 'model')",
    "manifest_entries": "INSERT INTO manifest_entries VALUES ('m', 'w', repeat('a', 64), 1)",
    "files": "INSERT INTO files (id, project_id, purpose, name, sha256, bytes)"
    " VALUES ('f', 'p', 'audio', 'F', repeat('a', 64), 1)",
    "datasets": "INSERT INTO datasets (id, project_id, name) VALUES ('d', 'p', 'D')",
    "dataset_versions": "INSERT INTO dataset_versions (id, dataset_id, version, manifest_id, content_sha256,"
    " row_schema, rows, bytes) VALUES ('dv', 'd', 1, 'm', 'x', 'qa', 1, 1)",
    "jobs": "INSERT INTO jobs (id, project_id, type, queue, spec, fair_key)"
    f" SELECT 'j' || n, 'p', 'train', 'idle', '{{}}', n FROM generate_series(1, {_MANY_ROWS}) n",
    "attempts": "INSERT INTO attempts (job_id, attempt, worker, lease_token)"
    " SELECT id, 1, 'w', 'token' || id FROM jobs WHERE queue = 'idle'",
    "job_events": "INSERT INTO job_events (job_id, seq, attempt, type)"
    " SELECT id, n, 1, 'log' FROM jobs, generate_series(1, 2) n WHERE queue = 'idle'",
    "metrics": "INSERT INTO metrics SELECT id, 'loss', 1, 1, 0.5, now() FROM jobs WHERE queue = 'idle'",
    "checkpoints": "INSERT INTO checkpoints (id, job_id, attempt, step, reason, manifest_id)"
    " VALUES ('c', 'j1', 1, 1, 'x', 'm')",
    "queue_clocks": "INSERT INTO queue_clocks VALUES ('idle', 1)",
    "fair_shares": "INSERT INTO fair_shares VALUES ('p', 'idle', 1)",
    "workers": "INSERT INTO workers (id, queues, lanes, slots) VALUES ('w', '{io}', '{long}', 1)",
    "duties": "INSERT INTO duties VALUES ('x', 'y', now())",
    "models": "INSERT INTO models (id, project_id, name) VALUES ('m', 'p', 'M')",
    "model_versions": "INSERT INTO model_versions (id, model_id, version, kind, format, manifest_id, bytes)"
    " VALUES ('v', 'm', 1, 'base', 'safetensors', 'm', 1)",
    "aliases": "INSERT INTO aliases VALUES ('m', 'champion', 'v')",
    "conversations": "INSERT INTO conversations (id, project_id, user_id, model) VALUES ('c', 'p', 'u', 'm')",
    "messages": "INSERT INTO messages (id, conversation_id, position, role, content, direction)"
    f" SELECT 'msg' || n, 'c', n, 'user', 'x', 'rtl' FROM generate_series(1, {_MANY_ROWS}) n",
    "blob_deletions": "INSERT INTO blob_deletions (key, sha256) VALUES ('x', 'y')",
    "stale_writes": "INSERT INTO stale_writes (job_id, lease_token, operation) VALUES ('j1', 't', 'x')",
    "stream_tickets": "INSERT INTO stream_tickets (ticket_hash, session_id, user_id, project_id, stream, first_use_by,"
    " expires_at) VALUES ('t', 's', 'u', 'p', 'x', now(), now())",
    "project_quotas": "INSERT INTO project_quotas (project_id) VALUES ('p')",
    "uploads": "INSERT INTO uploads (id, project_id, purpose, name, bytes, part_bytes, key, storage_id)"
    " VALUES ('u', 'p', 'dataset', 'x', 1, 1, 'incoming/x', 'x')",
    "transcripts": "INSERT INTO transcripts (job_id, project_id, task, duration_s, text, segments)"
    " VALUES ('j1', 'p', 'transcribe', 1, '', '[]')",
    "alias_changes": "INSERT INTO alias_changes (model_id, name, model_version_id) VALUES ('m', 'champion', 'v')",
    "batch_answers": "INSERT INTO batch_answers VALUES ('j1', 1, false, '{}')",
    "hardware_sources": "INSERT INTO hardware_sources (name, node, service, sample, every_s)"
    " VALUES ('h', 'n', 'api', '{}', 1)",
    "hardware_history": "INSERT INTO hardware_history VALUES ('h', 1, 1, now(), '{}')",
    "audit_events": "INSERT INTO audit_events (id, action, status, address, user_agent, request_id)"
    f" SELECT 'a' || n, 'x', 200, '', '', '' FROM generate_series(1, {_MANY_ROWS}) n",
}


@dataclass
class Locks:
    """What the migrations' transactions had locked when they committed."""

    held: dict[str, float] = field(default_factory=dict)
    """By table that had been there before: for how long nobody could write, in seconds."""
    looked_through: set[str] = field(default_factory=set)
    """Tables of many rows that were read or written through, row by row, while they were locked."""


@contextmanager
def watched(database: Database) -> Iterator[Locks]:
    """What is locked by transactions of the owner meanwhile, seen from within them, just before they commit."""
    locks = Locks()
    with psycopg.connect(_plain(database.owner_url)) as connection:
        there = dict(
            connection.execute(
                "SELECT oid::bigint, (relname, relfilenode) FROM pg_class WHERE relkind = 'r'"
                " AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
            ).fetchall()
        )

    def look(connection: sa.Connection) -> None:
        url = connection.engine.url
        if (url.database, url.username) != (database.name, sa.make_url(database.owner_url).username):
            return
        found = connection.exec_driver_sql(
            f"""
            SELECT c.oid::bigint, c.relname, extract(epoch FROM clock_timestamp() - now())::float8, c.relfilenode,
                coalesce(s.seq_tup_read, 0) + coalesce(s.n_tup_upd, 0)
            FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
            LEFT JOIN pg_stat_xact_user_tables s ON s.relid = c.oid
            WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind = 'r' AND l.mode IN {_STRONG}
            """
        )
        for oid, name, held_s, node, rows in found.all():
            if oid in there:
                locks.held[name] = max(locks.held.get(name, 0.0), held_s)
                if rows >= _MANY_ROWS or str(node) not in str(there[oid]):
                    locks.looked_through.add(name)

    sa.event.listen(sa.Engine, "commit", look)
    try:
        yield locks
    finally:
        sa.event.remove(sa.Engine, "commit", look)


def catalogue(database: Database) -> list[tuple[object, ...]]:
    """All that makes up the schema, in words."""
    with psycopg.connect(_plain(database.owner_url)) as connection:
        return connection.execute(
            """
            SELECT 'column', table_name, column_name, data_type || coalesce(column_default, '') || is_nullable
                || is_identity FROM information_schema.columns WHERE table_schema = 'public'
            UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
                FROM pg_constraint WHERE connamespace = 'public'::regnamespace
            UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
            UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger
                WHERE NOT tgisinternal
            UNION ALL SELECT 'function', proname, '', pg_get_functiondef(oid) FROM pg_proc
                WHERE pronamespace = 'public'::regnamespace
            ORDER BY 1, 2, 3, 4
            """
        ).fetchall()


def seed(database: Database, done: set[str]) -> None:
    """Rows for the tables that came with the last migration, written as the release of that schema writes them."""
    with psycopg.connect(_plain(database.owner_url)) as connection:
        there = {name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
        for table, statement in _SEEDS.items():
            if table in there - done:
                connection.execute(statement.encode())
        done |= there


def test_each_migration_goes_both_ways_while_the_release_before_it_works(fresh_database: Database) -> None:
    """R-DEPLOY-5, fault 46: the older statements meet no error and no long lock, up, down and up again."""
    url, seeded = fresh_database.owner_url, set[str]()
    migrate.downgrade(url, "0001")
    problems = []
    for number in range(2, int(head_revision()) + 1):
        older, newer = f"{number - 1:04}", f"{number:04}"
        seed(fresh_database, seeded)
        before = catalogue(fresh_database)
        with OlderRelease(url) as release, watched(fresh_database) as locks:
            migrate.upgrade(url, None, newer)
            after = catalogue(fresh_database)
            release.let_work()
            migrate.downgrade(url, older)
        assert catalogue(fresh_database) == before, f"{newer} does not go back to where it came from"
        migrate.upgrade(url, None, newer)
        assert catalogue(fresh_database) == after
        problems += [f"{newer}: {found}" for found in complaints(release, locks, newer)]
    seed(fresh_database, seeded)
    assert seeded - {"alembic_version"} == _SEEDS.keys(), "a new table needs rows here, else it is not looked at"
    assert not problems, "\n".join(problem[-400:] for problem in problems)


def complaints(release: OlderRelease, locks: Locks, revision: str) -> list[str]:
    """What is wrong with a migration that ran beside an older release."""
    found = [*release.errors]
    found += [f"{table} was locked for {held_s:.2f} s" for table, held_s in locks.held.items() if held_s > _LONG_S]
    if revision > _FIRST_RELEASE:
        found += [f"{table} was gone through while it was locked" for table in sorted(locks.looked_through)]
    return found


_BAD = {
    "a lock that is held": ("LOCK TABLE jobs IN SHARE MODE; SELECT pg_sleep(2)", "jobs was locked for 2."),
    "an index that stops writers while it is made": (
        "CREATE INDEX ON attempts (worker)",
        "attempts was gone through while it was locked",
    ),
    "a table that is written anew": (
        "ALTER TABLE metrics ALTER COLUMN step TYPE integer",
        "metrics was gone through while it was locked",
    ),
    "every row changed in one go": (
        "LOCK TABLE messages IN SHARE ROW EXCLUSIVE MODE; UPDATE messages SET content = ''",
        "messages was gone through while it was locked",
    ),
    # These two stay in the database, and are met by what follows: they come last.
    "a column that it does not know to fill": (
        "ALTER TABLE messages ADD COLUMN mood text NOT NULL DEFAULT 'x'; ALTER TABLE messages ALTER mood DROP DEFAULT",
        "mood",
    ),
    "a column that the older release still names": (
        "ALTER TABLE jobs RENAME COLUMN priority TO importance",
        "priority",
    ),
}


@pytest.fixture(scope="module")
def seeded(new_database: Callable[[], Database]) -> Database:
    """A database of the newest schema with rows."""
    made = new_database()
    seed(made, set())
    return made


@pytest.mark.parametrize("what", _BAD)
def test_a_migration_that_hurts_is_found(what: str, seeded: Database) -> None:
    """The control: what no release may do is told by the test above."""
    script, expected = _BAD[what]
    engine = sa.create_engine(seeded.owner_url, poolclass=sa.NullPool)
    # As a migration runs: on Alembic's connection, in one transaction.
    with OlderRelease(seeded.owner_url) as release, watched(seeded) as locks, engine.connect() as connection:
        operations = Operations(MigrationContext.configure(connection))
        connection.exec_driver_sql("SET lock_timeout = '5s'")
        cursor = operations.get_bind().connection.cursor()
        cursor.execute(script)
        cursor.close()
        connection.commit()
        release.let_work()
    assert any(expected in found for found in complaints(release, locks, "9999")), complaints(release, locks, "9999")


def test_an_index_may_be_made_beside_writers(fresh_database: Database) -> None:
    """docs/upgrade.md: the way that is open to a migration where the control above is found."""
    seed(fresh_database, set())
    engine = sa.create_engine(fresh_database.owner_url, poolclass=sa.NullPool)
    with OlderRelease(fresh_database.owner_url) as release, watched(fresh_database) as locks:
        for _ in range(2):  # as after an interruption
            with engine.connect() as connection:
                context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
                with Operations.context(context), context.begin_transaction(_per_migration=True):
                    make_index_beside_writers("attempts_worker", "ON attempts (worker)")
        release.let_work()
    assert complaints(release, locks, "9999") == []
    assert ("index", "attempts", "attempts_worker") in [row[:3] for row in catalogue(fresh_database)]


def test_a_table_that_is_held_stops_nobody_else(fresh_database: Database) -> None:
    """R-DEPLOY-5: a session idle in its transaction makes a migration wait, and nobody behind it for long."""
    url = fresh_database.owner_url
    migrate.downgrade(url, "0011")
    seed(fresh_database, set())
    done = threading.Thread(target=migrate.upgrade, args=(url,))
    with psycopg.connect(_plain(url)) as idle, OlderRelease(url) as release:
        idle.execute("SELECT 1 FROM model_versions")
        done.start()
        began = time.monotonic()
        while _waiting(fresh_database) == 0:
            assert time.monotonic() - began < 30
            time.sleep(0.01)
        release.let_work()
        assert done.is_alive()
        idle.rollback()
        done.join(30)
        assert not done.is_alive()
    assert not release.errors, release.errors[0][-600:]
    assert release.longest_s < 2.0  # what the gateway waits for a lock
    with psycopg.connect(_plain(url)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (head_revision(),)


@pytest.mark.parametrize(("revision", "is_ready"), [("9999", True), ("0001", False)])
def test_a_release_is_ready_on_a_schema_that_is_newer_and_on_none_that_is_older(
    revision: str, is_ready: bool, fresh_database: Database
) -> None:
    """R-DEPLOY-5: else a migration would take every process of the release before it out of service."""
    engine = sa.create_engine(fresh_database.owner_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    assert (health.migrations(engine)() == health.OK) is is_ready


def _waiting(database: Database) -> int:
    with psycopg.connect(_plain(database.owner_url)) as connection:
        query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(str(row[0]))


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)
