"""What is known of a dataset version: its statistics, and the job that makes them."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE dataset_versions
    ADD COLUMN statistics jsonb,
    ADD COLUMN statistics_job_id text REFERENCES jobs ON DELETE SET NULL;
"""

DROP = """
ALTER TABLE dataset_versions DROP COLUMN statistics, DROP COLUMN statistics_job_id;
"""


def upgrade() -> None:
    """Add the columns."""
    run_script(COLUMNS)


def downgrade() -> None:
    """Drop them, with what was found."""
    run_script(DROP)
