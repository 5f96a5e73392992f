"""R-OPS-5: how PostgreSQL answers, and how full a pool is."""

import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY
from sqlalchemy.exc import IntegrityError, OperationalError

from simorgh_shared.db.engine import make_engine
from tests.support.ports import free_port
from tests.support.stack import Database


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class TestWatch:
    def test_statements_are_timed_and_connections_counted(self, database: Database) -> None:
        engine = make_engine(database.url, pool_size=3)
        in_use = value("simorgh_database_connections", state="in_use")
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))  # before it SQLAlchemy has asked for things of its own
            statements = value("simorgh_database_statement_seconds_count")
            connection.execute(sa.text("SELECT 1"))
            assert value("simorgh_database_statement_seconds_count") == statements + 1
            assert value("simorgh_database_connections", state="in_use") == in_use + 1
        assert value("simorgh_database_connections", state="in_use") == in_use
        assert value("simorgh_database_connections_limit") >= 6  # the pool and as many on top
        engine.dispose()

    def test_a_lock_that_is_not_had_in_time_is_late(self, database: Database) -> None:
        engine = make_engine(database.url, options=("lock_timeout=50ms",))
        before = value("simorgh_database_failures_total", reason="late")
        with engine.begin() as holder, engine.connect() as other:
            holder.execute(sa.text("LOCK TABLE duties IN EXCLUSIVE MODE"))
            with pytest.raises(OperationalError):
                other.execute(sa.text("LOCK TABLE duties IN EXCLUSIVE MODE"))
        assert value("simorgh_database_failures_total", reason="late") == before + 1
        engine.dispose()

    def test_a_database_that_is_away_is_silent(self) -> None:
        engine = make_engine(f"postgresql+psycopg://nobody:x@127.0.0.1:{free_port()}/none")
        before = value("simorgh_database_failures_total", reason="silent")
        with pytest.raises(OperationalError):
            engine.connect()
        assert value("simorgh_database_failures_total", reason="silent") == before + 1

    def test_a_name_that_is_taken_is_no_failure_of_the_database(self, database: Database) -> None:
        engine = make_engine(database.url)
        before = [value("simorgh_database_failures_total", reason=reason) for reason in ("late", "silent")]
        insert = sa.text("INSERT INTO duties (name, holder, expires_at) VALUES ('twice', 'me', clock_timestamp())")
        with engine.connect() as connection:
            connection.execute(insert)
            with pytest.raises(IntegrityError):
                connection.execute(insert)
        assert [value("simorgh_database_failures_total", reason=reason) for reason in ("late", "silent")] == before
        engine.dispose()
