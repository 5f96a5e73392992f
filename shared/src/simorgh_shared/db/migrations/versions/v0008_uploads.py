"""Files on their way straight to storage."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE uploads (
    id text PRIMARY KEY,
    project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
    created_by text REFERENCES users ON DELETE SET NULL,
    purpose text NOT NULL CHECK (purpose IN ('dataset')),
    name text NOT NULL CHECK (name <> ''),
    bytes bigint NOT NULL CHECK (bytes > 0),
    part_bytes bigint NOT NULL CHECK (part_bytes > 0),
    sha256 text CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    fingerprint text,
    options jsonb NOT NULL DEFAULT '{}',
    key text NOT NULL UNIQUE,
    storage_id text,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'completed', 'aborted')),
    job_id text REFERENCES jobs ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    cleared_at timestamptz,
    -- Whoever may still send parts does it by the storage's own id; whatever is complete belongs to a job.
    CHECK (status <> 'open' OR (storage_id IS NOT NULL AND job_id IS NULL))
);
CREATE INDEX uploads_project ON uploads (project_id, id);
CREATE INDEX uploads_to_clear ON uploads (last_used_at) WHERE cleared_at IS NULL;
"""

DROP = """
DROP TABLE uploads CASCADE;
"""


def upgrade() -> None:
    """Create the table."""
    run_script(TABLES)


def downgrade() -> None:
    """Drop it, with everything in it."""
    run_script(DROP)
