"""Blobs, manifests and files: what lies in the object storage."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE blobs (
    sha256 text PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    key text NOT NULL UNIQUE,
    bytes bigint NOT NULL CHECK (bytes >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    lost_at timestamptz
);
CREATE INDEX blobs_last_used ON blobs (last_used_at);

-- Objects whose blob row is gone: deleted from storage afterwards, so that a crash in between leaks nothing.
CREATE TABLE blob_deletions (
    key text PRIMARY KEY,
    sha256 text NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE manifests (
    id text PRIMARY KEY,
    kind text NOT NULL,
    bytes bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE manifest_entries (
    manifest_id text NOT NULL REFERENCES manifests ON DELETE CASCADE,
    path text NOT NULL CHECK (path <> '' AND path !~ '(^/|(^|/)\\.\\.(/|$))'),
    sha256 text NOT NULL REFERENCES blobs,
    bytes bigint NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (manifest_id, path)
);
CREATE INDEX manifest_entries_sha256 ON manifest_entries (sha256);

CREATE TABLE files (
    id text PRIMARY KEY,
    project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
    purpose text NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL REFERENCES blobs,
    bytes bigint NOT NULL,
    created_by text REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX files_project ON files (project_id, id);
CREATE INDEX files_sha256 ON files (sha256);
"""

DROP = """
DROP TABLE files, manifest_entries, manifests, blob_deletions, blobs CASCADE;
"""


def upgrade() -> None:
    """Create the tables."""
    run_script(TABLES)


def downgrade() -> None:
    """Drop them, with everything in them."""
    run_script(DROP)
