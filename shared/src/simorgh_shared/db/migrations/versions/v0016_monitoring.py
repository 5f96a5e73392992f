"""What machines and processes measure of themselves, what an attempt used, and the trace that a job belongs to."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLES = """
-- The newest figures of each process that samples itself; they may be lost with a crash.
CREATE TABLE hardware_sources (
    name text PRIMARY KEY,
    node text NOT NULL,
    service text NOT NULL,
    facts jsonb NOT NULL DEFAULT '{}',
    sample jsonb NOT NULL,
    every_s double precision NOT NULL CHECK (every_s > 0),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz
);

-- A ring for each source and period: the row of a slot is written over when its turn comes again.
CREATE TABLE hardware_history (
    source text NOT NULL REFERENCES hardware_sources ON DELETE CASCADE,
    period_s integer NOT NULL CHECK (period_s > 0),
    slot integer NOT NULL CHECK (slot >= 0),
    at timestamptz NOT NULL,
    figures jsonb NOT NULL,
    PRIMARY KEY (source, period_s, slot)
) WITH (fillfactor = 70);

ALTER TABLE attempts ADD COLUMN usage jsonb;
ALTER TABLE jobs ADD COLUMN traceparent text;
"""

DROP = """
ALTER TABLE jobs DROP COLUMN traceparent;
ALTER TABLE attempts DROP COLUMN usage;
DROP TABLE hardware_history, hardware_sources;
"""


def upgrade() -> None:
    """Add tables and columns; an older release knows nothing of them and needs nothing of them."""
    run_script(TABLES)


def downgrade() -> None:
    """Drop them, with everything in them."""
    run_script(DROP)
