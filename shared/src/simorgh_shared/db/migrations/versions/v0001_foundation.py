"""The first tables: accounts, job engine, artifacts, datasets, registry, conversations.

Plain SQL, because what matters here (checks, partial indexes, triggers) is SQL. A test compares the result with
the ORM classes, so the two cannot drift.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ACCOUNTS = """
CREATE TABLE users (
    id text PRIMARY KEY,
    email text NOT NULL CHECK (email = lower(email)),
    name text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz
);
CREATE UNIQUE INDEX users_email ON users (email);

CREATE TABLE projects (
    id text PRIMARY KEY,
    name text NOT NULL,
    weight double precision NOT NULL DEFAULT 1 CHECK (weight > 0),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE memberships (
    project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);

CREATE TABLE user_settings (
    user_id text PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    preferences jsonb NOT NULL DEFAULT '{}',
    default_project_id text REFERENCES projects ON DELETE SET NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- A session is one sign-in: the family of refresh tokens that came from it.
CREATE TABLE sessions (
    id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    user_agent text NOT NULL DEFAULT '',
    address text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_reason text
);
CREATE INDEX sessions_user ON sessions (user_id, created_at DESC);

CREATE TABLE refresh_tokens (
    token_hash text PRIMARY KEY,
    session_id text NOT NULL REFERENCES sessions ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

CREATE TABLE api_keys (
    id text PRIMARY KEY,
    project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    name text NOT NULL,
    prefix text NOT NULL,
    key_hash text NOT NULL,
    scopes text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'write', 'admin'] AND cardinality(scopes) > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
CREATE UNIQUE INDEX api_keys_hash ON api_keys (key_hash);
CREATE INDEX api_keys_project ON api_keys (project_id, id);
"""

ARTIFACTS = """
CREATE TABLE blobs (
    sha256 text PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    key text NOT NULL UNIQUE,
    bytes bigint NOT NULL CHECK (bytes >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now()
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

DATASETS = """
CREATE TABLE datasets (
    id text PRIMARY KEY,
    project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
    name text NOT NULL,
    created_by text REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX datasets_project ON datasets (project_id, id);

CREATE TABLE dataset_versions (
    id text PRIMARY KEY,
    dataset_id text NOT NULL REFERENCES datasets ON DELETE CASCADE,
    version integer NOT NULL CHECK (version > 0),
    manifest_id text NOT NULL REFERENCES manifests,
    content_sha256 text NOT NULL,
    row_schema text NOT NULL,
    columns jsonb NOT NULL DEFAULT '{}',
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    validation jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (dataset_id, version),
    UNIQUE (dataset_id, content_sha256)
);
"""

JOBS = """
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
CREATE INDEX jobs_leased ON jobs (lease_expires_at) WHERE status = 'running';
CREATE INDEX jobs_project ON jobs (project_id, id);
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

REGISTRY = """
CREATE TABLE models (
    id text PRIMARY KEY,
    project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX models_project ON models (project_id, id);
CREATE UNIQUE INDEX models_name ON models (project_id, name) WHERE deleted_at IS NULL;

CREATE TABLE model_versions (
    id text PRIMARY KEY,
    model_id text NOT NULL REFERENCES models ON DELETE CASCADE,
    version integer NOT NULL CHECK (version > 0),
    kind text NOT NULL CHECK (kind IN ('base', 'tuned', 'adapter', 'quantised', 'pruned', 'exported', 'speech')),
    format text NOT NULL CHECK (format IN ('safetensors', 'gguf', 'onnx', 'openvino', 'ctranslate2')),
    manifest_id text NOT NULL REFERENCES manifests,
    job_id text REFERENCES jobs,
    checkpoint_id text REFERENCES checkpoints,
    num_parameters bigint,
    bytes bigint NOT NULL,
    lineage jsonb NOT NULL DEFAULT '{}',
    metrics jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (model_id, version)
);
CREATE UNIQUE INDEX model_versions_job ON model_versions (job_id) WHERE job_id IS NOT NULL;

CREATE TABLE aliases (
    model_id text NOT NULL REFERENCES models ON DELETE CASCADE,
    name text NOT NULL,
    model_version_id text NOT NULL REFERENCES model_versions,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model_id, name)
);

CREATE TABLE conversations (
    id text PRIMARY KEY,
    project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    title text NOT NULL DEFAULT '',
    model text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX conversations_user ON conversations (project_id, user_id, id);

CREATE TABLE messages (
    id text PRIMARY KEY,
    conversation_id text NOT NULL REFERENCES conversations ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
    content text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('rtl', 'ltr')),
    model_version_id text,
    finish_reason text,
    usage jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX messages_conversation ON messages (conversation_id, id);
"""

TABLES = [
    "messages",
    "conversations",
    "aliases",
    "model_versions",
    "models",
    "duties",
    "stale_writes",
    "workers",
    "metrics",
    "job_events",
    "attempts",
    "jobs",
    "checkpoints",
    "fair_shares",
    "queue_clocks",
    "dataset_versions",
    "datasets",
    "files",
    "manifest_entries",
    "manifests",
    "blob_deletions",
    "blobs",
    "api_keys",
    "refresh_tokens",
    "sessions",
    "user_settings",
    "memberships",
    "projects",
    "users",
]


def upgrade() -> None:
    """Create the tables."""
    _run(ACCOUNTS, ARTIFACTS, DATASETS, JOBS, REGISTRY)


def downgrade() -> None:
    """Drop them, with everything in them."""
    _run(f"DROP TABLE {', '.join(TABLES)} CASCADE", "DROP FUNCTION terminal_jobs_never_change()")


def _run(*scripts: str) -> None:
    # The driver's own cursor: given no parameters it sends several statements at once and leaves % alone.
    cursor = op.get_bind().connection.cursor()
    for script in scripts:
        cursor.execute(script)
    cursor.close()
