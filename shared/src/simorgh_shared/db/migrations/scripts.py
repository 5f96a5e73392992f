"""Runs a migration's SQL: several statements at once, on the transaction that Alembic has open."""

from alembic import op


def run_script(script: str) -> None:
    """Send a script as it stands. The driver's own cursor, given no parameters, leaves `%` and `:` alone."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(script)
    cursor.close()


def make_index_beside_writers(name: str, definition: str) -> None:
    """Make an index on a table in use; `definition` is what follows `CREATE INDEX … name`.

    It is no part of a transaction, so it has a migration of its own: one that was interrupted is run again, and drops what
    is half made. It waits for whoever writes, and nobody waits for it, so it is not to give up after a second.
    """
    with op.get_context().autocommit_block():
        before = op.get_bind().exec_driver_sql("SHOW lock_timeout").scalar_one()
        run_script("SET lock_timeout = 0")
        run_script(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        run_script(f"CREATE INDEX CONCURRENTLY {name} {definition}")
        run_script(f"SET lock_timeout = '{before}'")
