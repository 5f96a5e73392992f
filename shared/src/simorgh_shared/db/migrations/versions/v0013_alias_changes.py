"""What an alias has pointed at, so that it can go back."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE alias_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_id text NOT NULL REFERENCES models ON DELETE CASCADE,
    name text NOT NULL,
    model_version_id text NOT NULL REFERENCES model_versions ON DELETE CASCADE,
    changed_by text REFERENCES users ON DELETE SET NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX alias_changes_alias ON alias_changes (model_id, name, id DESC);
"""

DROP = """
DROP TABLE alias_changes;
"""


def upgrade() -> None:
    """Create the table."""
    run_script(TABLES)


def downgrade() -> None:
    """Drop it, with what aliases pointed at before."""
    run_script(DROP)
