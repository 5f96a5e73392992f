"""`simorgh train`: starting, steering and listing training runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from simorgh_cli.api import runs
from simorgh_cli.api.connection import Connection
from simorgh_cli.api.errors import in_our_words
from simorgh_cli.commands.options import TEXT, Invocation, ListingGroup, asks_api
from simorgh_cli.commands.saving import save
from simorgh_cli.terminal.answers import report_lines
from simorgh_cli.terminal.output import moment, note, say, size, write_fields, write_json, write_table
from simorgh_cli.terminal.text import printable, whole
from simorgh_shared.domain.jobs import JobStatus

_NAMED = {
    "model": ("model", "model_name", "modelName"),
    "dataset": ("dataset", "dataset_id", "datasetId"),
    "name": ("name",),
    "init_checkpoint": ("init_checkpoint", "init_checkpoint_id", "initCheckpoint", "initCheckpointId"),
}
_OF_NEWEST = (
    "RUN is a run's id or unique name; without it the newest active run, or where none is active the newest one."
)
_OF_SAVED = "RUN is a run's id or unique name; without it the newest run that has checkpoints."
_SAVED_BY = "A run saves every save_steps steps (--set save_steps=100), or at once by: simorgh train checkpoint"
_OF_ACTIVE = "RUN is a run's id or unique name; without it the newest run that has not ended."


@click.group(cls=ListingGroup)
def train() -> None:
    """Start, steer and list training runs. Without a command: list them."""


@train.command()
@click.option("--model", type=TEXT, help="A preset, such as simorgh-4m (default: the smallest).")
@click.option("--dataset", type=TEXT, metavar="NAME", help="What it is trained on (default: the sample dataset).")
@click.option("--name", type=TEXT, help="The run's name.")
@click.option(
    "--set", "settings", type=TEXT, multiple=True, metavar="KEY=VALUE", help="A parameter; as many as you like."
)
@click.option(
    "--from", "init_checkpoint", type=TEXT, metavar="CHECKPOINT", help="Start from a checkpoint of an older run."
)
@click.option("--watch", "watched", is_flag=True, help="Follow the run once it is started.")
@asks_api
def start(invocation: Invocation, settings: tuple[str, ...], watched: bool, **named: str | None) -> int:
    """Start a run: simorgh train start --dataset NAME --set learning_rate=0.002 --set epochs=20

    \b
    Methods (--set method=…):
      pretrain       learns every word of any rows; begins from a preset or a model
      sft            learns the answers, in all weights of a model
      lora           learns the answers, in a small adapter beside a model's weights

    \b
    The parameters that are set most (--set KEY=VALUE):
      epochs, max_steps, max_minutes      how long; what is reached first ends it
      batch_size, sequence_length         rows at once, tokens of a row
      learning_rate                       how far a step goes
      normalise                           Persian code points, for all rows
      keep                                best or last: which weights become the model
      lora_rank                           the adapter's size

    docs/tuning.md leads through it. All parameters stand at /docs of the API's address (TrainSpec).
    """
    spec = _spec(settings, {name: value for name, value in named.items() if value is not None})
    with invocation.connected() as connection:
        run = runs.start(connection, spec)
        if invocation.as_json:
            write_json(run)
        else:
            say(f"Run {run['runId']} is {run['phase']}, for a {run['device'].upper()}.")
            if not watched:
                note(f"Follow it with: simorgh watch {run['runId']}")
        if not watched:
            return 0
        from simorgh_cli.commands.watch import follow

        return follow(connection, str(run["runId"]), invocation.as_json)


@train.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@asks_api
def list_runs(invocation: Invocation, limit: int) -> None:
    """The project's runs, newest first."""
    with invocation.connected() as connection:
        found = runs.listed(connection, limit)
    if invocation.as_json:
        write_json({"runs": found})
        return
    rows = [
        (run["runId"], run["phase"], _steps(run), moment(run["createdAt"]), run["modelId"] or "", run["name"])
        for run in found
    ]
    empty = "There are no runs yet. Start one: simorgh train start --watch"
    write_table(("ID", "STATUS", "STEP", "MADE (UTC)", "MODEL", "NAME"), rows, empty)


@train.command(epilog=_OF_NEWEST)
@click.argument("run_id", metavar="[RUN]", type=TEXT, required=False)
@asks_api
def show(invocation: Invocation, run_id: str | None) -> None:
    """How a run stands."""
    with invocation.connected() as connection:
        run = runs.get(connection, chosen(connection, run_id))
    if invocation.as_json:
        write_json(run)
    else:
        write_run(run)


@train.command(epilog=_OF_NEWEST)
@click.argument("run_id", metavar="[RUN]", type=TEXT, required=False)
@click.option("-o", "--output", metavar="FILE", help="Write it as a page for a browser.")
@asks_api
def report(invocation: Invocation, run_id: str | None, output: str | None) -> None:
    """What a run has brought: losses beside a yardstick, and answers before and after."""
    with invocation.connected() as connection:
        run_id = chosen(connection, run_id)
        found = runs.results(connection, run_id)
        failure = error_of(runs.get(connection, run_id)) if found["status"] == JobStatus.FAILED else ""
        num_bytes = save(runs.report(connection, run_id), Path(output)) if output else 0
    if invocation.as_json:
        write_json(found)
    elif output:
        say(f"Wrote {size(num_bytes)} to {whole(output)}.")
    else:
        for line in report_lines(found):
            say(line)
    if failure and not invocation.as_json:
        note(f"It failed: {printable(failure)}")


@train.command(epilog=_OF_SAVED)
@click.argument("run_id", metavar="[RUN]", type=TEXT, required=False)
@asks_api
def checkpoints(invocation: Invocation, run_id: str | None) -> None:
    """The saved states of a run, newest first: a new run can start `--from` each of them."""
    with invocation.connected() as connection:
        if run_id is None:
            run_id, found = runs.newest_saved(connection) or (None, [])
        else:
            run_id = runs.find_id(connection, run_id)
            found = runs.checkpoints(connection, run_id)
    if invocation.as_json:
        write_json({"run_id": run_id, "checkpoints": found})
        return
    of = f"Run {run_id} has no checkpoints" if run_id else "None of the newest runs has checkpoints"
    rows = [
        (one["id"], str(one["step"]), size(one["bytes"]), moment(one["created_at"]), one["reason"]) for one in found
    ]
    write_table(("ID", "STEP", "SIZE", "MADE (UTC)", "WHY"), rows, f"{of}. {_SAVED_BY}")


@train.command(epilog=_OF_NEWEST)
@click.argument("run_id", metavar="[RUN]", type=TEXT, required=False)
@asks_api
def logs(invocation: Invocation, run_id: str | None) -> None:
    """What happened to a run, a line an event."""
    with invocation.connected() as connection:
        run_id = chosen(connection, run_id)
        for line in runs.logs(connection, run_id):
            if invocation.as_json:
                write_json({"run_id": run_id, "line": line})
            else:
                say(printable(line))


def chosen(connection: Connection, named: str | None) -> str:
    """The id of the run that was named; without a name the newest active run, or where none is active the newest."""
    return runs.find_id(connection, named) if named else str(runs.newest(connection)["runId"])


def write_run(run: dict[str, Any]) -> None:
    """A run for people."""
    progress = run["progress"]
    figures = [f"{name} {progress[name]:.4g}" for name in ("loss", "eval_loss", "tokens_per_s") if name in progress]
    write_fields(
        {
            "run": run["runId"],
            "name": run["name"],
            "status": status_of(run),
            "step": _steps(run),
            "figures": ", ".join(figures),
            "device": run["device"],
            "attempt": run["attempt"],
            "checkpoint": run["checkpointId"],
            "model": run["modelId"],
            "error": error_of(run),
            "made": moment(run["createdAt"]),
            "ended": moment(run["finishedAt"]),
        }
    )


def status_of(run: dict[str, Any]) -> str:
    """The status, and what was asked of the run and is still to come."""
    coming = {"pause": "pausing", "stop": "stopping", "cancel": "being cancelled"}.get(run["desiredState"])
    return f"{run['phase']}, {coming}" if coming and run["phase"] in ("running", "waiting") else str(run["phase"])


def error_of(run: dict[str, Any]) -> str:
    """Why it failed."""
    error = run.get("error") or {}
    return in_our_words(str(error.get("code", "")), str(error.get("message") or error.get("error") or ""))


def _steering(verb: str, described: str, answer: str) -> Callable[..., int | None]:
    @train.command(verb, help=described, epilog=_OF_ACTIVE)
    @click.argument("run_id", metavar="[RUN]", type=TEXT, required=False)
    @asks_api
    def steer(invocation: Invocation, run_id: str | None) -> None:
        with invocation.connected() as connection:
            run = runs.ask(connection, verb, runs.find_id(connection, run_id) if run_id else None)
        if invocation.as_json:
            write_json(run)
        else:
            say(f"{answer} run {run['runId']}: it is {status_of(run)}.")

    return steer


_steering("pause", "Have a run save and let its device go until it is resumed.", "Asked to pause")
_steering("resume", "Have a paused or stopped run go on from its last checkpoint.", "Resumed")
_steering("stop", "Have a run save and end; it can be resumed.", "Asked to stop")
_steering("cancel", "End a run without saving; nothing of it stays.", "Asked to cancel")
_steering("checkpoint", "Have a running run save now.", "Asked for a checkpoint of")


def _spec(settings: tuple[str, ...], named: dict[str, str]) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals or not key:
            raise click.BadParameter(f"{setting!r} is not KEY=VALUE, such as epochs=3.", param_hint="--set")
        if key in spec:
            raise click.BadParameter(f"{key} is set twice.", param_hint="--set")
        spec[key] = _value(text)
    for option, names in _NAMED.items():
        twice = [name for name in names if option in named and name in spec]
        if twice:
            raise click.BadParameter(f"{twice[0]} is given by an option already.", param_hint="--set")
    return spec | named


def _value(text: str) -> Any:
    """JSON where it is JSON (0.002, true, null, ["a"]), else the text itself."""
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return text


def _steps(run: dict[str, Any]) -> str:
    if run["step"] is None:
        return ""
    return f"{run['step']}/{run['totalSteps']}" if run["totalSteps"] else str(run["step"])
