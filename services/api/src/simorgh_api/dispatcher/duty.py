"""Who dispatches: a row with an expiry. An advisory lock would stay with a holder that is frozen."""

import sqlalchemy as sa
from sqlalchemy.orm import Session


def hold(session: Session, name: str, holder: str, for_s: float) -> bool:
    """Take or renew a duty; False while someone else has it."""
    row = session.execute(
        sa.text(
            """
            INSERT INTO duties AS d (name, holder, expires_at)
            VALUES (:name, :holder, clock_timestamp() + make_interval(secs => :for_s))
            ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
            WHERE d.holder = excluded.holder OR d.expires_at < clock_timestamp() RETURNING 1
            """
        ),
        {"name": name, "holder": holder, "for_s": for_s},
    ).one_or_none()
    return row is not None


def give_up(session: Session, name: str, holder: str) -> None:
    """Let the next one take it at once."""
    session.execute(
        sa.text("DELETE FROM duties WHERE name = :name AND holder = :holder"), {"name": name, "holder": holder}
    )
