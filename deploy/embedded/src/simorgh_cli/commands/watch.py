"""`simorgh watch`: follows a run live, with a bar and a curve on a terminal."""

import sys
from typing import Any

import click

from simorgh_cli.api import runs
from simorgh_cli.api.connection import Connection
from simorgh_cli.api.events import ServerEvent
from simorgh_cli.commands.options import TEXT, Invocation, asks_api
from simorgh_cli.commands.train import chosen, error_of
from simorgh_cli.terminal.answers import answer_lines
from simorgh_cli.terminal.ending import was_better, why_early
from simorgh_cli.terminal.output import note, say, write_json
from simorgh_cli.terminal.progress import Display, Figures, make_display
from simorgh_cli.terminal.text import printable
from simorgh_shared.domain.errors import AppError
from simorgh_shared.domain.jobs import JobStatus

_GIVE_UP_S = 600.0  # a gateway that is being replaced, a laptop that slept
_EXIT = {JobStatus.SUCCEEDED: 0, JobStatus.FAILED: 1}
_RESTS_OR_ENDED = 3
_INTERRUPTED = 130


@click.command()
@click.argument("run_id", metavar="[RUN]", type=TEXT, required=False)
@asks_api
def watch(invocation: Invocation, run_id: str | None) -> int:
    """Follow a run until it ends, is paused or stopped. Ctrl-C leaves the run alone.

    RUN is a run's id or unique name; without it the newest active run, or where none is active the newest one.
    Ends with 0 when the run succeeded, 1 when it failed, 3 when it was paused, stopped or cancelled.
    """
    with invocation.connected() as connection:
        run_id = chosen(connection, run_id)
        return follow(connection, run_id, invocation.as_json)


def follow(connection: Connection, run_id: str, as_json: bool) -> int:
    """Show a run's events until it ends or rests; the exit code tells how."""
    display = make_display(say, terminal=sys.stdout.isatty() and not as_json)
    watcher = _Watcher(display, as_json)
    try:
        with display:
            for event in runs.follow(connection, run_id, watcher.tell_loss, _GIVE_UP_S):
                watcher.take(event)
    except KeyboardInterrupt:
        note(f"Left run {run_id} alone: it goes on. See it again with: simorgh watch {run_id}")
        return _INTERRUPTED
    run = runs.get(connection, run_id)
    if not as_json:
        # Without a result there is nothing in it to explain.
        _tell_end(run, runs.spec(connection, run_id) if run["result"] else {}, watcher.figures)
    return _EXIT.get(run["phase"], _RESTS_OR_ENDED)


class _Watcher:
    """Shows events as they come."""

    def __init__(self, display: Display, as_json: bool) -> None:
        self._display, self._as_json = display, as_json
        self._is_lost = False
        self.figures = Figures()

    def take(self, event: ServerEvent) -> None:
        """Show one."""
        self._is_lost = False
        if self._as_json:
            write_json({"event": event.name, **event.data})
        elif event.name == "metrics":
            self.figures.take(event.data)
            self._display.show(self.figures)
        elif event.name not in _EXIT:
            self._display.tell(_as_line(event))

    def tell_loss(self, error: AppError) -> None:
        """Say once that the connection is lost."""
        if not self._is_lost:
            self._is_lost = True
            note(f"Lost the connection, trying again: {error}")


def _as_line(event: ServerEvent) -> str:
    data = event.data
    match event.name:
        case "running":
            said = f"running (attempt {data.get('attempt')})"
        case "started":
            known = (f"{data[name]} {words}" for name, words in _STARTED.items() if data.get(name) is not None)
            said = "started: " + ", ".join(known)
        case "answers":
            return answer_lines(data)
        case "checkpoint":
            said = f"saved checkpoint {data.get('checkpoint_id')} at step {data.get('step')}"
        case "log":
            said = f"{data.get('level')}: {data.get('message')}"
        case "resumed":
            said = f"resumed from step {data.get('from_step')}"
        case _:
            words = (f"{name} {value}" for name, value in data.items() if name not in ("seq", "attempt", "at"))
            said = f"{event.name} {', '.join(words)}".strip()
    return f"{str(data.get('at', ''))[11:19]} {printable(said)}".strip()


_STARTED = {"total_steps": "steps", "num_parameters": "parameters", "device": "device", "precision": "precision"}


def _tell_end(run: dict[str, Any], spec: dict[str, Any], figures: Figures) -> None:
    run_id, phase = run["runId"], run["phase"]
    last = f" ({figures.line()})" if figures.values else ""
    match phase:
        case JobStatus.SUCCEEDED:
            say(f"Run {run_id} succeeded: model {run['modelId']}{last}.")
            for told in (why_early(run, spec), was_better(run, spec)):
                if told is not None:
                    say(told)
            note(f"Talk to it: simorgh chat {run['modelId']}")
        case JobStatus.FAILED:
            note(f"Run {run_id} failed: {printable(error_of(run)) or 'no reason was given'}")
        case JobStatus.PAUSED | JobStatus.STOPPED:
            say(f"Run {run_id} is {phase} at step {run['step']}{last}.")
            note(f"Go on with it: simorgh train resume {run_id}")
        case _:
            say(f"Run {run_id} is {phase}.")
