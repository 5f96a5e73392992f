"""Models, their versions and aliases."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
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
"""

DROP = """
DROP TABLE aliases, model_versions, models CASCADE;
"""


def upgrade() -> None:
    """Create the tables."""
    run_script(TABLES)


def downgrade() -> None:
    """Drop them, with everything in them."""
    run_script(DROP)
