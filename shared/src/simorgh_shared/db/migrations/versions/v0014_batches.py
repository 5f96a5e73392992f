"""Answers of a batch's lines, until the batch has ended and they lie in its files."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE batch_answers (
    job_id text NOT NULL REFERENCES jobs ON DELETE CASCADE,
    line integer NOT NULL CHECK (line > 0),
    is_error boolean NOT NULL,
    answer text NOT NULL,
    PRIMARY KEY (job_id, line)
);

-- A batch ends in several ways, in the gateway and in workers: what it has left goes with it.
CREATE FUNCTION ended_batches_leave_no_answers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM batch_answers WHERE job_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER ended_batches_leave_no_answers AFTER UPDATE OF status ON jobs FOR EACH ROW
    WHEN (NEW.type = 'batch' AND NEW.status IN ('succeeded', 'failed', 'cancelled'))
    EXECUTE FUNCTION ended_batches_leave_no_answers();
CREATE INDEX jobs_input_file ON jobs ((spec ->> 'input_file_id')) WHERE spec ->> 'input_file_id' IS NOT NULL;
"""

DROP = """
DROP INDEX jobs_input_file;
DROP TRIGGER ended_batches_leave_no_answers ON jobs;
DROP FUNCTION ended_batches_leave_no_answers();
DROP TABLE batch_answers;
"""


def upgrade() -> None:
    """Create the table."""
    run_script(TABLES)


def downgrade() -> None:
    """Drop it, with everything in it."""
    run_script(DROP)
