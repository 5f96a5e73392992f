"""A release that runs on while the schema moves on: its statements, over and over, from several connections.

What the ORM of a release says follows from its schema: it names every column of its tables, and none that it does not
know (`test_the_classes_mirror_what_the_migrations_make` holds each release to that). So the statements are made from
the catalogue as it stands before a migration. What the engine says in SQL of its own is written down here as it was
when its tables were made; it is to be kept until no release that says it can run beside a new one.
"""

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import psycopg

_COLUMNS = """
    SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.attidentity = ''),
        array_agg(a.attname::text) FILTER (WHERE a.atttypid = 'text'::regtype AND a.attname IN ('id', 'key', 'email',
            'token_hash', 'key_hash', 'ticket_hash', 'name', 'idempotency_key')),
        array_agg(a.attname::text) FILTER (WHERE a.attname IN ('version', 'position', 'seq', 'step', 'line', 'attempt'))
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'alembic_version'
    GROUP BY c.relname ORDER BY c.relname
"""
# Of the engine as it was when its tables were made: enqueue, claim, heartbeat, event, end.
_ENGINE = (
    "INSERT INTO jobs (id, project_id, type, queue, spec, fair_key) SELECT 'job_' || gen_random_uuid(), id, 'probe',"
    " 'load', '{}', 0 FROM projects LIMIT 1",
    "WITH best AS (SELECT id FROM jobs WHERE queue = 'load' AND status = 'queued' ORDER BY priority DESC, fair_key, id"
    " LIMIT 1 FOR UPDATE SKIP LOCKED) UPDATE jobs SET status = 'running', attempt = attempt + 1,"
    " lease_token = gen_random_uuid()::text, lease_owner = 'load', lease_expires_at = now() FROM best"
    " WHERE jobs.id = best.id",
    "UPDATE jobs SET lease_expires_at = clock_timestamp() WHERE queue = 'load' AND status = 'running'",
    "WITH bumped AS (UPDATE jobs SET last_seq = last_seq + 1 WHERE queue = 'load' AND status = 'running'"
    " RETURNING id, last_seq) INSERT INTO job_events (job_id, seq, attempt, type)"
    " SELECT id, last_seq, 1, 'x' FROM bumped",
    "UPDATE jobs SET status = 'succeeded', lease_token = NULL, lease_owner = NULL, lease_expires_at = NULL,"
    " finished_at = now() WHERE queue = 'load' AND status = 'running'",
    "DELETE FROM jobs WHERE queue = 'load' AND status = 'succeeded'",
)


def statements(connection: "psycopg.Connection[tuple[object, ...]]") -> list[str]:
    """What a release of the schema that stands now says: it reads, adds, changes and takes rows of every table."""
    said: list[str] = []
    for table, columns, texts, numbers in connection.execute(_COLUMNS).fetchall():
        assert isinstance(columns, list)
        listed = ", ".join(f'"{column}"' for column in columns)
        fresh = dict.fromkeys(_list(texts), "gen_random_uuid()::text")
        fresh |= dict.fromkeys(_list(numbers), "1 + (random() * 1e9)::int")
        values = ", ".join(fresh.get(column, f'"{column}"') for column in columns)
        one = f'SELECT ctid FROM "{table}" LIMIT 1'
        said += [
            f'INSERT INTO "{table}" ({listed}) SELECT {values} FROM "{table}" LIMIT 1 ON CONFLICT DO NOTHING',
            f'UPDATE "{table}" SET "{columns[-1]}" = "{columns[-1]}" WHERE ctid = ({one} FOR UPDATE SKIP LOCKED)'
            f" RETURNING {listed}",
        ]
        if table == "jobs":
            said += _ENGINE
    return said


class OlderRelease:
    """Says its statements from two connections while it is entered."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        with psycopg.connect(self._url) as connection:
            self._said = statements(connection)
        self._ended = threading.Event()
        self._rounds = [0, 0]
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in (0, 1)]
        self.errors: list[str] = []
        self.longest_s = 0.0
        """The longest that a statement took: what a client would have felt."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.let_work(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def let_work(self, num_rounds: int = 2) -> None:
        """Return when each connection has ended so many rounds more, of which the first has begun before."""
        wanted = [count + num_rounds for count in self._rounds]
        deadline = time.monotonic() + 60
        while any(count < goal for count, goal in zip(self._rounds, wanted, strict=True)) and not self.errors:
            assert time.monotonic() < deadline, "the older release hangs"
            time.sleep(0.005)

    def _run(self, number: int) -> None:
        # Statements are prepared after the first time, as those of a release that has long run are.
        with psycopg.connect(self._url, autocommit=True, prepare_threshold=0) as connection:
            while not self._ended.is_set() and not self.errors:
                for statement in self._said[number:] + self._said[:number]:
                    self._say(connection, statement)
                self._rounds[number] += 1

    def _say(self, connection: "psycopg.Connection[tuple[object, ...]]", statement: str) -> None:
        began = time.monotonic()
        try:
            if statement.startswith("INSERT") and statement not in _ENGINE:
                with connection.transaction(force_rollback=True):  # its constraints are checked all the same
                    connection.execute(statement)
            else:
                connection.execute(statement)
        except psycopg.errors.DeadlockDetected:
            pass  # the two of them in each other's way
        except psycopg.Error as error:
            self.errors.append(f"{statement}: {error}")
        self.longest_s = max(self.longest_s, time.monotonic() - began)


def _list(names: object) -> Sequence[str]:
    return names if isinstance(names, list) else []
