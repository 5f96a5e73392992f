"""`simorgh keys`: API keys, by which programs ask where a person signs in (R-AUTH-3)."""

import click

from simorgh_cli.api import accounts
from simorgh_cli.commands.options import TEXT, Invocation, ListingGroup, asks_api
from simorgh_cli.terminal.output import moment, note, say, write_json, write_table

_SCOPES = ("read", "write", "admin")


@click.group(cls=ListingGroup)
def keys() -> None:
    """Make, list and end API keys of the project, for OpenAI's clients and scripts. Without a command: list them."""


@keys.command("list")
@asks_api
def list_keys(invocation: Invocation) -> None:
    """Your keys of this project, without their secrets."""
    with invocation.connected() as connection:
        found = accounts.keys(connection)
    if invocation.as_json:
        write_json({"keys": found})
        return
    rows = [
        (
            one["id"],
            f"{one['prefix']}…",
            ",".join(one["scopes"]),
            moment(one["last_used_at"]) if one["last_used_at"] else "never",
            moment(one["expires_at"]) if one["expires_at"] else "never",
            one["name"],
        )
        for one in found
    ]
    header = ("ID", "KEY", "MAY", "USED (UTC)", "ENDS (UTC)", "NAME")
    write_table(header, rows, "There are no keys. Make one: simorgh keys create NAME")


@keys.command()
@click.argument("name", type=TEXT)
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(_SCOPES), help="What it may (default: read and write)."
)
@asks_api
def create(invocation: Invocation, name: str, scopes: tuple[str, ...]) -> None:
    """Make a key. Its secret is printed this once."""
    with invocation.connected() as connection:
        made = accounts.make_key(connection, name, list(scopes) or ["read", "write"])
    if invocation.as_json:
        write_json(made)
        return
    note(f"Key {made['id']}, which is shown this once; end it by: simorgh keys revoke {made['id']}")
    say(made["key"])


@keys.command()
@click.argument("key_id", metavar="ID", type=TEXT)
@asks_api
def revoke(invocation: Invocation, key_id: str) -> None:
    """End a key at once."""
    with invocation.connected() as connection:
        accounts.revoke_key(connection, key_id)
    if invocation.as_json:
        write_json({"id": key_id, "revoked": True})
    else:
        say(f"Ended key {key_id}.")
