"""`simorgh chat`: talking to a model, with a history that the platform keeps."""

import sys
from collections.abc import Iterator
from typing import Any

import click

from simorgh_cli.api import chats
from simorgh_cli.api.connection import Connection
from simorgh_cli.commands.options import TEXT, Invocation, asks_api
from simorgh_cli.terminal.output import note, write, write_json
from simorgh_cli.terminal.text import printable, whole
from simorgh_shared.domain.errors import InvalidInputError

_INTERRUPTED = 130


@click.command()
@click.argument("model", metavar="[MODEL]", type=TEXT, required=False)
@click.option("-m", "--message", type=TEXT, help="Say this and end with the answer.")
@click.option("--conversation", "conversation_id", type=TEXT, metavar="ID", help="Go on with a conversation.")
@click.option("--system", type=TEXT, help="What the model is told before the first message.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="0 always says the likeliest.")
@click.option("--max-tokens", type=click.IntRange(1), help="The answer's length at most.")
@click.option("--seed", type=click.IntRange(0), help="The same seed draws the same answer.")
@asks_api
def chat(invocation: Invocation, message: str | None, **said: Any) -> int:
    """Talk to MODEL (default: the newest one). Without a terminal, standard input is the message."""
    given = {name: value for name, value in said.items() if value is not None}
    with invocation.connected() as connection:
        talk = _Talk(connection, given, invocation.as_json)
        if message is None and sys.stdin.isatty():
            if invocation.as_json:
                raise click.UsageError("--json needs a message: give -m, or write it to standard input.")
            return _converse(talk)
        text = message if message is not None else whole(sys.stdin.read()).strip()
        if not text:
            raise InvalidInputError("nothing_said")
        try:
            talk.answer_once(text)
        except KeyboardInterrupt:
            return _INTERRUPTED
    return 0


class _Talk:
    """A conversation, from its first message on."""

    def __init__(self, connection: Connection, said: dict[str, Any], as_json: bool) -> None:
        self._connection, self._said, self._as_json = connection, said, as_json
        self._is_shown = False

    def answer_once(self, text: str) -> None:
        """Say one thing and write the answer."""
        if self._as_json:
            last = list(chats.say(self._connection, self._said | {"message": text}))[-1]
            write_json(last.data)
            return
        for piece in self.ask(text):
            write(printable(piece, keep="\n\t"))
        write("\n")

    def ask(self, text: str) -> Iterator[str]:
        """The pieces of the answer."""
        for event in chats.say(self._connection, self._said | {"message": text}):
            match event.name:
                case "start":
                    self._go_on_with(event.data)
                case "delta":
                    yield str(event.data["content"])
                case "done" if event.data.get("turns_cut"):
                    note(f"(The oldest {event.data['turns_cut']} turns no longer fit the model's window.)")

    def _go_on_with(self, started: dict[str, Any]) -> None:
        self._said = {name: value for name, value in self._said.items() if name != "system"}
        self._said["conversation_id"] = started["conversation_id"]
        if not self._is_shown:
            self._is_shown = True
            note(f"(conversation {started['conversation_id']}, model {printable(str(started['model']))})")


def _converse(talk: _Talk) -> int:
    from simorgh_cli.terminal.conversation import Conversation

    note("Ctrl-D leaves the chat; Ctrl-C ends an answer.")
    Conversation(talk.ask, write).run()
    return 0
