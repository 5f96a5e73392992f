"""Makes the database engine. Sessions come from `sessionmaker(engine)`; the edge opens and ends them."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.db.timing import TimedCursor, watch


def make_engine(url: str, *, pool_size: int = 10, options: Sequence[str] = (), name: str = "simorgh") -> sa.Engine:
    """An engine on `url`. `options` are PostgreSQL settings such as `lock_timeout=2s`, set per connection."""
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=5,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 5,
            "application_name": name,
            "cursor_factory": TimedCursor,
            "options": " ".join(f"-c {option}" for option in options),
            # A silent network must not hold a heartbeat for minutes.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        },
    )
    watch(engine, 2 * pool_size)
    return engine


def make_sessions(engine: sa.Engine) -> sessionmaker[Session]:
    """Sessions that keep loaded rows readable after commit (routes build answers from them)."""
    return sessionmaker(engine, expire_on_commit=False)
