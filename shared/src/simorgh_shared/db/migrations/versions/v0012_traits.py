"""What a model version can be used for: whether it hears or speaks, and which languages."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE model_versions ADD COLUMN traits jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(traits) = 'object');
"""

DROP = """
ALTER TABLE model_versions DROP COLUMN traits;
"""


def upgrade() -> None:
    """Add the column."""
    run_script(TABLES)


def downgrade() -> None:
    """Drop it, with what was found."""
    run_script(DROP)
