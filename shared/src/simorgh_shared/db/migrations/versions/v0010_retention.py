"""Content that goes when nothing needs it any more: versions outlive their files, audit lines have an end."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = """
-- Null once the files of a deleted version were let go. Its hashes stay, in `splits` and in `lineage`.
ALTER TABLE dataset_versions ALTER COLUMN manifest_id DROP NOT NULL;
ALTER TABLE model_versions ALTER COLUMN manifest_id DROP NOT NULL;

CREATE INDEX dataset_versions_manifest ON dataset_versions (manifest_id);
CREATE INDEX model_versions_manifest ON model_versions (manifest_id);
CREATE INDEX checkpoints_manifest ON checkpoints (manifest_id);
CREATE INDEX model_versions_checkpoint ON model_versions (checkpoint_id) WHERE checkpoint_id IS NOT NULL;
CREATE INDEX aliases_version ON aliases (model_version_id);
CREATE INDEX attempts_live_checkpoint ON attempts (checkpoint_in) WHERE ended_at IS NULL;
CREATE INDEX jobs_checkpoint_id ON jobs (checkpoint_id) WHERE checkpoint_id IS NOT NULL;
CREATE INDEX jobs_base_version ON jobs ((spec ->> 'base_version_id')) WHERE spec ->> 'base_version_id' IS NOT NULL;
CREATE INDEX jobs_dataset_version ON jobs ((spec ->> 'dataset_version_id'))
    WHERE spec ->> 'dataset_version_id' IS NOT NULL;
CREATE INDEX audit_events_at ON audit_events (at);

-- Null means the default of the dispatcher's settings.
ALTER TABLE projects ADD COLUMN checkpoints_kept integer CHECK (checkpoints_kept BETWEEN 1 AND 1000);

-- The application may not delete what was written down, but by this, and never anything of the last 30 days.
CREATE FUNCTION retire_audit_events(days integer, at_most integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH doomed AS (
        SELECT id FROM audit_events WHERE at < clock_timestamp() - make_interval(days => greatest(days, 30))
        ORDER BY at LIMIT at_most FOR UPDATE SKIP LOCKED
    ), gone AS (DELETE FROM audit_events e USING doomed d WHERE e.id = d.id RETURNING 1)
    SELECT count(*) FROM gone;
$$;
"""

DROP = """
DROP FUNCTION retire_audit_events(integer, integer);
ALTER TABLE projects DROP COLUMN checkpoints_kept;
DROP INDEX audit_events_at, jobs_dataset_version, jobs_base_version, jobs_checkpoint_id, attempts_live_checkpoint,
    aliases_version, model_versions_checkpoint, checkpoints_manifest, model_versions_manifest,
    dataset_versions_manifest;
INSERT INTO manifests (id, kind, bytes) VALUES ('man_collected', 'collected', 0);
UPDATE model_versions SET manifest_id = 'man_collected' WHERE manifest_id IS NULL;
UPDATE dataset_versions SET manifest_id = 'man_collected' WHERE manifest_id IS NULL;
ALTER TABLE model_versions ALTER COLUMN manifest_id SET NOT NULL;
ALTER TABLE dataset_versions ALTER COLUMN manifest_id SET NOT NULL;
"""


def upgrade() -> None:
    """Let go of what has to stay no longer."""
    run_script(TABLES)


def downgrade() -> None:
    """Hold on to it again; what was let go is an empty manifest."""
    run_script(DROP)
