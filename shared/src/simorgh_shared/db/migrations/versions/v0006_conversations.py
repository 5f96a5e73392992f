"""Conversations and their messages."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = """
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
    position integer NOT NULL CHECK (position > 0),
    role text NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
    content text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('rtl', 'ltr')),
    model_version_id text,
    finish_reason text,
    usage jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Ids of one millisecond do not sort, turns must.
    UNIQUE (conversation_id, position)
);
"""

DROP = """
DROP TABLE messages, conversations CASCADE;
"""


def upgrade() -> None:
    """Create the tables."""
    run_script(TABLES)


def downgrade() -> None:
    """Drop them, with everything in them."""
    run_script(DROP)
