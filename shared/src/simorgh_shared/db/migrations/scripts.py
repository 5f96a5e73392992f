"""Runs a migration's SQL: several statements at once, on the transaction that Alembic has open."""

from alembic import op


def run_script(script: str) -> None:
    """Send a script as it stands. The driver's own cursor, given no parameters, leaves `%` and `:` alone."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(script)
    cursor.close()
