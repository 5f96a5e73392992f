"""`simorgh models lineage`: where a model comes from, and what was made of it."""

from typing import Any

import click

from simorgh_cli.api import models as calls
from simorgh_cli.commands.options import TEXT, Invocation, asks_api
from simorgh_cli.terminal.output import moment, note, say, write_json, write_table


@click.command()
@click.argument("model", metavar="MODEL", type=TEXT)
@asks_api
def lineage(invocation: Invocation, model: str) -> None:
    """Where a model comes from and what was made of it, by its name or an id: things, then how they led to others."""
    with invocation.connected() as connection:
        found = calls.lineage(connection, model)
    if invocation.as_json:
        write_json(found)
        return
    # Oldest first; a tokenizer is known by its content and has no time.
    nodes = sorted(found["nodes"], key=lambda node: node["created_at"] or "")
    rows = [
        (_word(node["kind"]), node["id"], moment(node["created_at"]), _state(node, found), node["name"] or "")
        for node in nodes
    ]
    write_table(("WHAT", "ID", "MADE (UTC)", "STATE", "NAME"), rows, "Nothing is known of it.")
    if found["edges"]:
        say("")
        edges = [(edge["source"], _word(edge["relation"]), edge["target"]) for edge in found["edges"]]
        write_table(("FROM", "HOW", "TO"), edges, "")
    if found["truncated"]:
        note("There is more than one answer holds: ask for the lineage of one of the models above.")


def _word(name: str) -> str:
    return name.replace("_", " ")


def _state(node: dict[str, Any], found: dict[str, Any]) -> str:
    if node["id"] == found["version_id"]:
        return "asked for"
    return "deleted" if node["deleted"] else ""
