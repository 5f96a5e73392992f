"""Messages of a conversation that take another's place, and the one that they follow."""

from simorgh_shared.db.migrations.scripts import run_script

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE messages
    ADD COLUMN parent_id text REFERENCES messages ON DELETE CASCADE,
    ADD COLUMN is_current boolean NOT NULL DEFAULT true;

UPDATE messages SET parent_id = before.id FROM messages before
    WHERE before.conversation_id = messages.conversation_id AND before.position = messages.position - 1;

CREATE UNIQUE INDEX messages_current ON messages (conversation_id, position) WHERE is_current;
CREATE INDEX messages_parent ON messages (parent_id);
ALTER TABLE messages DROP CONSTRAINT messages_conversation_id_position_key;
CREATE INDEX messages_conversation ON messages (conversation_id);

-- Here, and not in the gateway: one of the release before, which still runs, adds messages too.
CREATE FUNCTION messages_follow_the_current_one() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT id INTO NEW.parent_id FROM messages
        WHERE conversation_id = NEW.conversation_id AND position = NEW.position - 1 AND is_current;
    RETURN NEW;
END $$;
CREATE TRIGGER messages_follow_the_current_one BEFORE INSERT ON messages FOR EACH ROW
    WHEN (NEW.position > 1 AND NEW.parent_id IS NULL) EXECUTE FUNCTION messages_follow_the_current_one();
"""

DROP = """
DROP TRIGGER messages_follow_the_current_one ON messages;
DROP FUNCTION messages_follow_the_current_one();
-- What another message has taken the place of goes: the schema before has one message at a place.
DELETE FROM messages WHERE NOT is_current;
ALTER TABLE messages ADD CONSTRAINT messages_conversation_id_position_key UNIQUE (conversation_id, position);
DROP INDEX messages_current, messages_parent, messages_conversation;
ALTER TABLE messages DROP COLUMN parent_id, DROP COLUMN is_current;
"""


def upgrade() -> None:
    """Add the columns; what was said until now follows one another."""
    run_script(COLUMNS)


def downgrade() -> None:
    """Drop them, with the messages that others have taken the place of."""
    run_script(DROP)
