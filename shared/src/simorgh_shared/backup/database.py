"""The database's part of a backup: rows as COPY writes them, without the schema, which the migrations make.

No program of PostgreSQL's is needed, of whatever version; and nothing but what the owner of the tables may do.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from simorgh_shared.backup.contents import BlobLine, Contents, IdentityColumn, Table, put_packed, read_packed
from simorgh_shared.backup.places import Place
from simorgh_shared.db.migrate import LOCK_KEY
from simorgh_shared.domain.errors import InvalidInputError, UnavailableError

Connection = psycopg.Connection[tuple[object, ...]]
_PASSING = ("duties", "workers", "stream_tickets", "blob_deletions")
"""Of processes, connections and objects that are not there after a restore."""
_TABLES = """
    SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'alembic_version'
    GROUP BY c.relname ORDER BY c.relname
"""
_IDENTITIES = """
    SELECT c.relname, a.attname, pg_get_serial_sequence(c.oid::regclass::text, a.attname) FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attidentity <> ''
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 1, 2
"""
_FOREIGN_KEYS = """
    SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace ORDER BY 1, 2
"""
_INCOMING = """
    SELECT DISTINCT u.key FROM uploads u JOIN jobs j ON j.id = u.job_id
    WHERE u.status = 'completed' AND u.cleared_at IS NULL AND j.finished_at IS NULL ORDER BY u.key
"""


@dataclass(frozen=True)
class Dump:
    """The database as it was at one moment."""

    made_at: str
    revision: str
    postgres: str
    tables: list[Table]
    sequences: list[IdentityColumn]
    blobs: list[BlobLine]
    incoming: list[str]
    """Keys of files that jobs have still to look at."""


@contextmanager
def connected(owner_url: str) -> Iterator[Connection]:
    """A connection as the owner of the tables.

    Raises: UnavailableError.
    """
    url = owner_url.replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        with psycopg.connect(url, connect_timeout=10, options="-c timezone=UTC -c datestyle=ISO") as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise UnavailableError("backup_database", reason=str(error).strip().splitlines()[0]) from error


def dump(connection: Connection, place: Place, folder: str) -> Dump:
    """Write the rows of every table as of one moment; others read and write meanwhile, but no migration runs."""
    connection.execute("SELECT pg_advisory_lock_shared(%s)", [LOCK_KEY])
    connection.commit()
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    with connection.transaction():
        made_at, revision, postgres = _now_and_versions(connection)
        tables = [
            _write_table(connection, place, folder, str(name), _names(columns))
            for name, columns in connection.execute(_TABLES).fetchall()
            if name not in _PASSING
        ]
        blobs = [
            BlobLine(str(sha256), str(key), int(str(num_bytes)))
            for sha256, key, num_bytes in connection.execute("SELECT sha256, key, bytes FROM blobs ORDER BY sha256")
        ]
        incoming = [str(key) for (key,) in connection.execute(_INCOMING)]
        sequences = _sequences(connection)
    connection.execute("SELECT pg_advisory_unlock_shared(%s)", [LOCK_KEY])
    connection.commit()
    return Dump(made_at, revision, postgres, tables, sequences, blobs, incoming)


def load(connection: Connection, place: Place, contents: Contents) -> None:
    """Put the rows back into the tables of the same revision, in one transaction: all of them or none.

    Foreign keys are taken off and put on again, which checks every row; triggers have done their work before.

    Raises: InvalidInputError for files that are not those of the manifest.
    """
    connection.commit()  # else the transaction would be a part of the one that is open
    with connection.transaction():
        known = {str(name): _names(columns) for name, columns in connection.execute(_TABLES).fetchall()}
        for table in contents.tables:
            if set(table.columns) != set(known.get(table.name, ())):
                raise InvalidInputError("backup_table_unfit", table=table.name, revision=contents.revision)
        foreign_keys = connection.execute(_FOREIGN_KEYS).fetchall()
        connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(map(sql.Identifier, known))))
        for table_name, name, _ in foreign_keys:
            _alter(connection, str(table_name), f'DROP CONSTRAINT "{name}"')
        for name in known:
            _alter(connection, name, "DISABLE TRIGGER USER")
        for table in contents.tables:
            _read_table(connection, place, contents, table)
        for table_name, name, definition in foreign_keys:
            _alter(connection, str(table_name), f'ADD CONSTRAINT "{name}" {definition}')
        for name in known:
            _alter(connection, name, "ENABLE TRIGGER USER")
        for at in contents.sequences:
            connection.execute(
                "SELECT setval(pg_get_serial_sequence(%s, %s), %s, %s)",
                [at.table, at.column, at.last_value, at.is_called],
            )
    connection.execute("ANALYZE")
    connection.commit()


def holds_anything(connection: Connection) -> str | None:
    """The name of a table with rows that somebody may miss; None for a database that is as good as new."""
    for name, _ in connection.execute(_TABLES).fetchall():
        if name in _PASSING or name == "queue_clocks":
            continue
        query = sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(sql.Identifier(str(name)))
        if connection.execute(query).fetchone() == (True,):
            return str(name)
    return None


def num_sessions(connection: Connection, role: str) -> int:
    """How many connections a role has to this database."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = %s"
    row = connection.execute(query, [role]).fetchone()
    assert row is not None
    return int(str(row[0]))


def current_revision(connection: Connection) -> str | None:
    """The revision of the schema; None where there is no schema yet."""
    if connection.execute("SELECT to_regclass('public.alembic_version')").fetchone() == (None,):
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _now_and_versions(connection: Connection) -> tuple[str, str, str]:
    row = connection.execute(
        """SELECT to_char(now(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), version_num, current_setting('server_version')
        FROM alembic_version"""
    ).fetchone()
    assert row is not None
    return str(row[0]), str(row[1]), str(row[2])


def _write_table(connection: Connection, place: Place, folder: str, name: str, columns: Sequence[str]) -> Table:
    query = sql.SQL("COPY {} ({}) TO STDOUT").format(
        sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor:
        with cursor.copy(query) as rows:
            file = put_packed(place, folder, f"tables/{name}.copy.gz", map(bytes, rows))
        return Table(name, list(columns), cursor.rowcount, file)


def _read_table(connection: Connection, place: Place, contents: Contents, table: Table) -> None:
    query = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, table.columns))
    )
    with connection.cursor() as cursor:
        with cursor.copy(query) as rows:
            for chunk in read_packed(place, contents.folder, table.file):
                rows.write(chunk)
        if cursor.rowcount != table.rows:
            raise InvalidInputError("backup_damaged", file=contents.folder + table.file.name)


def _sequences(connection: Connection) -> list[IdentityColumn]:
    found = []
    for table, column, name in connection.execute(_IDENTITIES).fetchall():
        schema, _, sequence = str(name).partition(".")
        at = connection.execute(
            sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema, sequence))
        ).fetchone()
        assert at is not None
        found.append(IdentityColumn(str(table), str(column), int(str(at[0])), bool(at[1])))
    return found


def _names(columns: object) -> list[str]:
    assert isinstance(columns, list)
    return [str(column) for column in columns]


def _alter(connection: Connection, table: str, change: str) -> None:
    # All of it comes from the database's own catalogue, never from the backup.
    connection.execute(f'ALTER TABLE "{table}" {change}'.encode())
