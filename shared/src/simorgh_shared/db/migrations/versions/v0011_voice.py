"""What was heard: transcripts, and how to find the audio that may go."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE transcripts (
    job_id text PRIMARY KEY REFERENCES jobs ON DELETE CASCADE,
    project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
    model_version_id text REFERENCES model_versions ON DELETE SET NULL,
    task text NOT NULL CHECK (task IN ('transcribe', 'translate')),
    language text,
    language_probability double precision CHECK (language_probability BETWEEN 0 AND 1),
    duration_s double precision NOT NULL CHECK (duration_s >= 0),
    text text NOT NULL,
    segments jsonb NOT NULL CHECK (jsonb_typeof(segments) = 'array'),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX transcripts_project ON transcripts (project_id, job_id);
CREATE INDEX transcripts_model ON transcripts (model_version_id) WHERE model_version_id IS NOT NULL;

-- Audio that came for a job is let go after a while; jobs that still need it are found by their spec.
CREATE INDEX files_audio ON files (created_at) WHERE purpose = 'audio' AND deleted_at IS NULL;
CREATE INDEX jobs_file ON jobs ((spec ->> 'file_id')) WHERE spec ->> 'file_id' IS NOT NULL;
"""

DROP = """
DROP INDEX jobs_file, files_audio;
DROP TABLE transcripts;
"""


def upgrade() -> None:
    """Create the table."""
    run_script(TABLES)


def downgrade() -> None:
    """Drop it, with everything in it."""
    run_script(DROP)
