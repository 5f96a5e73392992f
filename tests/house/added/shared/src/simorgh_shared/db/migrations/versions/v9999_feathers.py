"""Feathers."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "9999"
down_revision = "9998"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE feathers (
    id text PRIMARY KEY,
    project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
    colour text NOT NULL,
    job_id text NOT NULL REFERENCES jobs,
    created_at timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    """Create the table."""
    run_script(TABLES)


def downgrade() -> None:
    """Drop it, with everything in it."""
    run_script("DROP TABLE feathers")
