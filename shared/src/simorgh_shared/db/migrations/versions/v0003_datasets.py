"""Datasets and their versions."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE datasets (
    id text PRIMARY KEY,
    project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
    name text NOT NULL,
    created_by text REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX datasets_project ON datasets (project_id, id);
CREATE INDEX datasets_name ON datasets (project_id, name) WHERE deleted_at IS NULL;

CREATE TABLE dataset_versions (
    id text PRIMARY KEY,
    dataset_id text NOT NULL REFERENCES datasets ON DELETE CASCADE,
    version integer NOT NULL CHECK (version > 0),
    manifest_id text NOT NULL REFERENCES manifests,
    content_sha256 text NOT NULL,
    row_schema text NOT NULL,
    columns jsonb NOT NULL DEFAULT '{}',
    source_columns jsonb NOT NULL DEFAULT '{}',
    rows bigint NOT NULL CHECK (rows >= 0),
    bytes bigint NOT NULL CHECK (bytes >= 0),
    splits jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (dataset_id, version),
    UNIQUE (dataset_id, content_sha256, row_schema)
);
"""

DROP = """
DROP TABLE dataset_versions, datasets CASCADE;
"""


def upgrade() -> None:
    """Create the tables."""
    run_script(TABLES)


def downgrade() -> None:
    """Drop them, with everything in them."""
    run_script(DROP)
