"""`simorgh models aliases`, `promote` and `rollback`: which version `model@champion` asks (R-MODEL-2)."""

import re
from typing import Any

import click

from simorgh_cli.api import models as calls
from simorgh_cli.api.connection import Connection
from simorgh_cli.commands.options import TEXT, Invocation, asks_api
from simorgh_cli.terminal.output import moment, say, write_json, write_table
from simorgh_cli.terminal.text import printable

_ALIAS = click.option("--alias", type=TEXT, default="champion", show_default=True)


@click.command()
@click.argument("model", type=TEXT)
@asks_api
def aliases(invocation: Invocation, model: str) -> None:
    """What the aliases of MODEL point at, and what each pointed at before."""
    with invocation.connected() as connection:
        found = calls.aliases(connection, model)
    if invocation.as_json:
        write_json({"aliases": found})
        return
    rows = [
        (f"{model}@{one['name']}", one["model_version_id"], one["former_version_id"] or "", moment(one["updated_at"]))
        for one in found
    ]
    header = ("ALIAS", "VERSION ID", "BEFORE", "SET (UTC)")
    write_table(header, rows, f"It has no aliases. Set one: simorgh models promote {printable(model)} VERSION")


@click.command()
@click.argument("model", type=TEXT)
@click.argument("version", type=TEXT)
@_ALIAS
@asks_api
def promote(invocation: Invocation, model: str, version: str, alias: str) -> None:
    """Let MODEL@ALIAS ask VERSION from now on: v2, a version's id, or a model made from MODEL (its newest version).

    Requests that are under way end with the version before. A champion must have passed its gate.
    """
    with invocation.connected() as connection:
        _tell(invocation, model, calls.point(connection, model, alias, _version(connection, model, version)))


@click.command()
@click.argument("model", type=TEXT)
@_ALIAS
@asks_api
def rollback(invocation: Invocation, model: str, alias: str) -> None:
    """Let MODEL@ALIAS ask the version that it asked before; a second time brings this one back."""
    with invocation.connected() as connection:
        _tell(invocation, model, calls.roll_back(connection, model, alias))


def _version(connection: Connection, model: str, named: str) -> str:
    """Its id. `v2` is the model's own; what is written so and is none is a name."""
    if re.fullmatch(r"v\d+", named):
        found = [one["version_id"] for one in calls.get(connection, model)["versions"] if f"v{one['version']}" == named]
        if found:
            return str(found[0])
    return calls.get_version(connection, named)


def _tell(invocation: Invocation, model: str, now: dict[str, Any]) -> None:
    if invocation.as_json:
        write_json(now)
        return
    before = f" (before: {now['former_version_id']})" if now["former_version_id"] else ""
    say(f"{printable(model)}@{now['name']} is {now['model_version_id']} now{before}.")
