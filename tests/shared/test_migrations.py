"""The migrations and the ORM classes say the same (docs/adr/0001)."""

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from simorgh_shared.db import migrate
from simorgh_shared.db.models import Base
from simorgh_shared.db.revision import head_revision
from tests.support.stack import Database


def test_the_classes_mirror_what_the_migrations_make(fresh_database: Database) -> None:
    """R-DEPLOY-5: columns, types, keys; indexes stand in the migrations alone."""
    engine = sa.create_engine(fresh_database.owner_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [found for found in compare_metadata(context, Base.metadata) if found[0] != "remove_index"]
    assert differences == []


def test_migrations_go_down_and_up_again(fresh_database: Database) -> None:
    """R-DEPLOY-5: they are reversible."""
    engine = sa.create_engine(fresh_database.owner_url, poolclass=sa.NullPool)
    migrate.downgrade(fresh_database.owner_url, "base")
    assert sa.inspect(engine).get_table_names() == ["alembic_version"]
    migrate.upgrade(fresh_database.owner_url, fresh_database.app_role)
    assert "jobs" in sa.inspect(engine).get_table_names()


def test_the_newest_revision_is_the_one_that_alembic_ends_at(fresh_database: Database) -> None:
    """R-OPS-4: readiness compares a database with this number."""
    engine = sa.create_engine(fresh_database.owner_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == head_revision()


def test_the_application_cannot_rewrite_history(fresh_database: Database) -> None:
    """Architecture 5: what happened is written once."""
    engine = sa.create_engine(fresh_database.url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        for table in ("job_events", "stale_writes"):
            granted = connection.scalar(sa.text("SELECT has_table_privilege(:table, 'UPDATE')"), {"table": table})
            assert granted is False
