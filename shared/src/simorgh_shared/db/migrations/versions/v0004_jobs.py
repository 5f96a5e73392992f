"""The job engine: jobs, attempts, events, metrics, checkpoints, workers, duties."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE queue_clocks (
    queue text PRIMARY KEY,
    virtual_time double precision NOT NULL DEFAULT 0
);

CREATE TABLE fair_shares (
    project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
    queue text NOT NULL,
    virtual_time double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, queue)
);

CREATE TABLE jobs (
    id text PRIMARY KEY,
    project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
    created_by text REFERENCES users ON DELETE SET NULL,
    type text NOT NULL,
    name text NOT NULL DEFAULT '',
    tags text[] NOT NULL DEFAULT '{}',
    queue text NOT NULL,
    lane text NOT NULL DEFAULT 'long' CHECK (lane IN ('short', 'long')),
    spec jsonb NOT NULL,
    spec_version integer NOT NULL DEFAULT 1,
    priority integer NOT NULL DEFAULT 0 CHECK (priority BETWEEN -100 AND 100),
    fair_key double precision NOT NULL,
    num_gpus integer NOT NULL DEFAULT 0 CHECK (num_gpus >= 0),
    num_nodes integer NOT NULL DEFAULT 1 CHECK (num_nodes >= 1),
    min_memory_bytes bigint NOT NULL DEFAULT 0 CHECK (min_memory_bytes >= 0),
    status text NOT NULL DEFAULT 'queued' CHECK (status IN
        ('queued', 'running', 'waiting', 'paused', 'stopped', 'succeeded', 'failed', 'cancelled')),
    desired_state text NOT NULL DEFAULT 'run' CHECK (desired_state IN ('run', 'pause', 'stop', 'cancel')),
    checkpoint_requested_at timestamptz,
    attempt integer NOT NULL DEFAULT 0,
    failures_in_row integer NOT NULL DEFAULT 0,
    not_before timestamptz,
    lease_owner text,
    lease_token text,
    lease_expires_at timestamptz,
    last_seq bigint NOT NULL DEFAULT 0,
    progress jsonb NOT NULL DEFAULT '{}',
    step_done bigint NOT NULL DEFAULT 0,
    checkpoint_id text,
    init_checkpoint_id text,
    result jsonb,
    error jsonb,
    idempotency_key text,
    idempotency_hash text,
    parent_id text REFERENCES jobs,
    experiment_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    queued_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    hidden_at timestamptz,
    CONSTRAINT lease_belongs_to_running CHECK (
        (status = 'running') = (lease_token IS NOT NULL)
        AND (lease_token IS NULL) = (lease_expires_at IS NULL)
        AND (lease_token IS NULL) = (lease_owner IS NULL)),
    CONSTRAINT finished_when_terminal CHECK (
        (status IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
    CONSTRAINT failed_has_error CHECK (status <> 'failed' OR error IS NOT NULL)
);
CREATE UNIQUE INDEX jobs_idempotency ON jobs (project_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_claim ON jobs (queue, priority DESC, fair_key, id) WHERE status = 'queued';
CREATE INDEX jobs_waiting ON jobs (id) WHERE status = 'waiting';
CREATE INDEX jobs_leased ON jobs (lease_expires_at) WHERE status = 'running';
CREATE INDEX jobs_project ON jobs (project_id, id);
CREATE INDEX jobs_body ON jobs (project_id, idempotency_hash, created_at) WHERE idempotency_hash IS NOT NULL;
CREATE INDEX jobs_parent ON jobs (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE attempts (
    job_id text NOT NULL REFERENCES jobs ON DELETE CASCADE,
    attempt integer NOT NULL CHECK (attempt > 0),
    worker text NOT NULL,
    lease_token text NOT NULL UNIQUE,
    devices jsonb NOT NULL DEFAULT '[]',
    outcome text,
    signal integer,
    exit_code integer,
    applied_line bigint NOT NULL DEFAULT 0,
    checkpoint_in text,
    checkpoint_out text,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    PRIMARY KEY (job_id, attempt)
);

CREATE TABLE job_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id text NOT NULL REFERENCES jobs ON DELETE CASCADE,
    seq bigint NOT NULL CHECK (seq > 0),
    attempt integer NOT NULL,
    type text NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}',
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (job_id, seq)
);
CREATE UNIQUE INDEX job_events_one_success ON job_events (job_id) WHERE type = 'succeeded';

CREATE TABLE metrics (
    job_id text NOT NULL REFERENCES jobs ON DELETE CASCADE,
    name text NOT NULL,
    step bigint NOT NULL,
    attempt integer NOT NULL,
    value double precision NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (job_id, name, step)
);

CREATE TABLE checkpoints (
    id text PRIMARY KEY,
    job_id text NOT NULL REFERENCES jobs ON DELETE CASCADE,
    attempt integer NOT NULL,
    step bigint NOT NULL CHECK (step >= 0),
    reason text NOT NULL,
    manifest_id text NOT NULL REFERENCES manifests,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (job_id, step)
);
-- Rows in use cannot be retired: the database refuses.
ALTER TABLE jobs ADD CONSTRAINT jobs_checkpoint FOREIGN KEY (checkpoint_id) REFERENCES checkpoints;
ALTER TABLE jobs ADD CONSTRAINT jobs_init_checkpoint FOREIGN KEY (init_checkpoint_id) REFERENCES checkpoints;
CREATE INDEX jobs_init_checkpoint_id ON jobs (init_checkpoint_id) WHERE init_checkpoint_id IS NOT NULL;

CREATE TABLE workers (
    id text PRIMARY KEY,
    queues text[] NOT NULL,
    lanes text[] NOT NULL,
    devices jsonb NOT NULL DEFAULT '[]',
    slots integer NOT NULL CHECK (slots > 0),
    draining boolean NOT NULL DEFAULT false,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE stale_writes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id text NOT NULL,
    lease_token text NOT NULL,
    operation text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE duties (
    name text PRIMARY KEY,
    holder text NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE FUNCTION terminal_jobs_never_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status IN ('succeeded', 'failed', 'cancelled') AND (
        NEW.status IS DISTINCT FROM OLD.status OR NEW.attempt IS DISTINCT FROM OLD.attempt
        OR NEW.result IS DISTINCT FROM OLD.result OR NEW.last_seq IS DISTINCT FROM OLD.last_seq) THEN
        RAISE EXCEPTION 'job % is % and never changes again', OLD.id, OLD.status USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER terminal_jobs_never_change BEFORE UPDATE ON jobs
    FOR EACH ROW EXECUTE FUNCTION terminal_jobs_never_change();
"""

DROP = """
DROP TABLE duties, stale_writes, workers, metrics, job_events, attempts, jobs, checkpoints, fair_shares, queue_clocks CASCADE;
DROP FUNCTION terminal_jobs_never_change();
"""


def upgrade() -> None:
    """Create the tables."""
    run_script(TABLES)


def downgrade() -> None:
    """Drop them, with everything in them."""
    run_script(DROP)
