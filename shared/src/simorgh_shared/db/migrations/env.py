"""Alembic's entry: runs the migrations on the connection that `simorgh_shared.db.migrate` passes in."""

from alembic import context

from simorgh_shared.db.models import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
