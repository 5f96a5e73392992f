"""`simorgh models`: uploading, listing, looking at and deleting."""

from pathlib import Path
from typing import Any

import click

from simorgh_cli.api import models as calls
from simorgh_cli.commands import model_aliases, model_files, model_lineage
from simorgh_cli.commands.options import TEXT, Invocation, ListingGroup, asks_api
from simorgh_cli.terminal.output import moment, note, say, size, write_fields, write_json, write_table
from simorgh_cli.terminal.text import printable
from simorgh_cli.terminal.transfer import moving
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.model_folders import paths

_FOLDER = click.Path(exists=True, path_type=Path)
_SHOWN = ("gate", "quantisation", "perplexity", "lowest_eval_loss_per_char", "token_accuracy")
"""Of what was measured; `--json` has it all, and a run's or an optimisation's report explains it."""
_KINDS = ("base", "tuned", "quantised", "pruned", "exported", "speech")


@click.group(cls=ListingGroup)
def models() -> None:
    """Upload, list, look at, trace, promote, download, verify and delete models. Without a command: list them."""


_MORE = (
    model_files.download,
    model_files.verify,
    model_files.signing_key,
    model_lineage.lineage,
    model_aliases.aliases,
    model_aliases.promote,
    model_aliases.rollback,
)
for _command in _MORE:
    models.add_command(_command)


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
@click.argument("folder", type=_FOLDER)
@click.option("--name", type=TEXT, help="The model's name (default: the folder's).")
@click.option("--kind", type=click.Choice(_KINDS), help="What the model is, where its files leave a choice.")
@asks_api
def upload(invocation: Invocation, folder: Path, name: str | None, kind: str | None) -> None:
    """Send FOLDER with a model's files (or one file: an archive of it, a .gguf)."""
    files, left_out = _files_of(folder)
    own_name = name or (folder.resolve().name if folder.is_dir() else None)
    fields = {field: value for field, value in {"name": own_name, "kind": kind}.items() if value}
    num_bytes = sum(path.stat().st_size for path in files.values())
    with invocation.connected() as connection, moving("uploading", num_bytes) as moved:
        try:
            made = calls.upload(connection, files, fields, moved)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InvalidInputError("file_unusable", path=str(folder), reason=reason) from error
    made["left_out"] = sorted({*made["left_out"], *left_out})
    if invocation.as_json:
        write_json(made)
        return
    was = "" if made["created"] else " (it was there already)"
    what = f"{made['kind']} {made['format']}, {made['num_parameters']:,} parameters, {size(made['bytes'])}"
    say(f"Model {printable(made['name'])} ({made['id']}), version {made['version']}: {what}{was}.")
    if made["left_out"]:
        note(f"Left out, as no part of a model: {printable(', '.join(made['left_out']))}")


@models.command()
@click.argument("model_id", metavar="MODEL", type=TEXT)
@asks_api
def show(invocation: Invocation, model_id: str) -> None:
    """One model with its versions, by its name or an id."""
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
            one["kind"],
            one["format"],
            f"{one['num_parameters']:,}" if one["num_parameters"] else "",
            size(one["bytes"]),
            one["job_id"] or "",
            ", ".join(_measured(name, one["metrics"][name]) for name in _SHOWN if _is_told(one["metrics"].get(name))),
        )
        for one in found["versions"]
    ]
    say("")
    header = ("VERSION ID", "VERSION", "KIND", "FORMAT", "PARAMETERS", "SIZE", "RUN", "MEASURED")
    write_table(header, rows, "It has no versions.")


@models.command()
@click.argument("model_id", metavar="MODEL", type=TEXT)
@asks_api
def delete(invocation: Invocation, model_id: str) -> None:
    """Take a model away: nobody can ask it any more."""
    with invocation.connected() as connection:
        gone = calls.delete(connection, model_id)
    if invocation.as_json:
        write_json(gone)
    else:
        say(f"Deleted model {gone['id']}.")


def _files_of(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """The files to send by their path in the folder, and the names of those that are no part of a model."""
    if not folder.is_dir():
        return {folder.name: folder}, []
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    left_out = [name for name in found if paths.is_left_out(name)]
    return {name: path for name, path in found.items() if name not in left_out}, left_out


def _newest(model: dict[str, Any]) -> tuple[str, str, str]:
    version = next(iter(model["versions"]), None)
    if version is None:
        return "", "", ""
    num_parameters = version["num_parameters"]
    return f"v{version['version']}", f"{num_parameters:,}" if num_parameters else "", size(version["bytes"])


def _is_told(value: object) -> bool:
    """What was measured; of a gate, one that asked for something."""
    if isinstance(value, dict):
        return value.get("max_perplexity_increase") is not None or value.get("min_speedup") is not None
    return value is not None


def _measured(name: str, value: object) -> str:
    if isinstance(value, dict):  # the gate of an optimisation
        missed = value.get("missed") or []
        return f"{name} {'missed' if missed else 'passed'}"
    return f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
