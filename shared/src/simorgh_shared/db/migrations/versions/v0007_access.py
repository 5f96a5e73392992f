"""Tickets of streams, quotas of projects, and the audit log."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE stream_tickets (
    ticket_hash text PRIMARY KEY,
    session_id text NOT NULL REFERENCES sessions ON DELETE CASCADE,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
    stream text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    first_use_by timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    opening integer NOT NULL DEFAULT 0 CHECK (opening >= 0)
);
CREATE INDEX stream_tickets_user ON stream_tickets (user_id, expires_at);

-- Null means the default of the gateway's settings.
CREATE TABLE project_quotas (
    project_id text PRIMARY KEY REFERENCES projects ON DELETE CASCADE,
    queued_jobs integer CHECK (queued_jobs >= 0),
    stored_bytes bigint CHECK (stored_bytes >= 0),
    gpu_hours double precision CHECK (gpu_hours >= 0),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX jobs_queued_of_project ON jobs (project_id) WHERE status = 'queued';
CREATE INDEX attempts_on_devices ON attempts (ended_at) WHERE devices <> '[]';

-- No foreign keys: what happened outlives the project, user or key that it happened to.
CREATE TABLE audit_events (
    id text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    project_id text,
    user_id text,
    key_id text,
    session_id text,
    action text NOT NULL,
    targets text[] NOT NULL DEFAULT '{}',
    status integer NOT NULL,
    address text NOT NULL,
    user_agent text NOT NULL,
    request_id text NOT NULL
);
CREATE INDEX audit_events_project ON audit_events (project_id, id);
"""

DROP = """
DROP INDEX attempts_on_devices, jobs_queued_of_project;
DROP TABLE audit_events, project_quotas, stream_tickets CASCADE;
"""


def upgrade() -> None:
    """Create the tables."""
    run_script(TABLES)


def downgrade() -> None:
    """Drop them, with everything in them."""
    run_script(DROP)
