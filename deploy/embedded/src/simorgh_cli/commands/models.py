"""`simorgh models`: listing, looking at and deleting."""

from typing import Any

import click

from simorgh_cli.api import models as calls
from simorgh_cli.commands.options import TEXT, Invocation, ListingGroup, asks_api
from simorgh_cli.terminal.output import moment, say, size, write_fields, write_json, write_table


@click.group(cls=ListingGroup)
def models() -> None:
    """List, look at and delete models. Without a command: list them."""


@models.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@asks_api
def list_models(invocation: Invocation, limit: int) -> None:
    """The project's models, newest first."""
    with invocation.connected() as connection:
        found = calls.listed(connection, limit)
    if invocation.as_json:
        write_json({"models": found})
        return
    rows = [(one["id"], *_newest(one), moment(one["created_at"]), one["name"]) for one in found]
    header = ("ID", "VERSION", "PARAMETERS", "SIZE", "MADE (UTC)", "NAME")
    write_table(header, rows, "There are no models yet. Train one: simorgh train start --watch")


@models.command()
@click.argument("model_id", metavar="ID", type=TEXT)
@asks_api
def show(invocation: Invocation, model_id: str) -> None:
    """One model with its versions."""
    with invocation.connected() as connection:
        found = calls.get(connection, model_id)
    if invocation.as_json:
        write_json(found)
        return
    write_fields({"id": found["id"], "name": found["name"], "made": moment(found["created_at"])})
    rows = [
        (
            one["version_id"],
            f"v{one['version']}",
            one["format"],
            size(one["bytes"]),
            one["job_id"] or "",
            ", ".join(f"{name} {_figure(value)}" for name, value in one["metrics"].items()),
        )
        for one in found["versions"]
    ]
    say("")
    write_table(("VERSION ID", "VERSION", "FORMAT", "SIZE", "RUN", "MEASURED"), rows, "It has no versions.")


@models.command()
@click.argument("model_id", metavar="ID", type=TEXT)
@asks_api
def delete(invocation: Invocation, model_id: str) -> None:
    """Take a model away: nobody can ask it any more."""
    with invocation.connected() as connection:
        gone = calls.delete(connection, model_id)
    if invocation.as_json:
        write_json(gone)
    else:
        say(f"Deleted model {gone['id']}.")


def _newest(model: dict[str, Any]) -> tuple[str, str, str]:
    version = next(iter(model["versions"]), None)
    if version is None:
        return "", "", ""
    num_parameters = version["num_parameters"]
    return f"v{version['version']}", f"{num_parameters:,}" if num_parameters else "", size(version["bytes"])


def _figure(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
