"""`simorgh evaluate-speech`: compares models by what they hear in an audio set."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from simorgh_cli.api import datasets, evaluations
from simorgh_cli.api.connection import Connection
from simorgh_cli.api.errors import LostError, RefusedError
from simorgh_cli.commands.options import TEXT, Invocation, asks_api
from simorgh_cli.commands.outputs import check_place
from simorgh_cli.commands.saving import save
from simorgh_cli.commands.voice_jobs import finished, tell_left_alone, tell_of_job
from simorgh_cli.terminal.output import note, say, size, write_json, write_table
from simorgh_cli.terminal.text import printable, whole

_SUFFIXES = (".html", ".json", ".jsonl")
_HEADER = ("WER", "CER", "PLAIN WER", "PLAIN CER", "CLIPS", "UNREADABLE", "RTF", "MODEL")
_INTERRUPTED = 130


@click.command("evaluate-speech")
@click.argument("dataset", metavar="[DATASET]", type=TEXT, required=False)
@click.option("--model", "models", type=TEXT, multiple=True, help="A Whisper model; repeat it (default: all).")
@click.option("--language", type=TEXT, help="What is spoken, such as fa (default: each model tells it).")
@click.option("--split", type=click.Choice(["train", "test"]), help="Default: test where there is one.")
@click.option("--version", type=click.IntRange(1), help="Of the dataset (default: the newest).")
@click.option("--limit", type=click.IntRange(1), help="So many rows, from the first on (default: all).")
@click.option("--job", "job_id", type=TEXT, metavar="ID", help="Go on watching one, or fetch it, in place of starting.")
@click.option("-o", "--output", metavar="FILE", help="The report as .html or .json, or all samples as .jsonl.")
@asks_api
def evaluate_speech(
    invocation: Invocation,
    dataset: str | None,
    models: Sequence[str],
    job_id: str | None,
    output: str | None,
    **said: Any,
) -> int:
    """Have models hear the clips of DATASET, an audio set, and score them: word and character error rates.

    Ctrl-C leaves the job alone.
    """
    if (dataset is None) == (job_id is None):
        raise click.UsageError("Name a DATASET, or an evaluation with --job.")
    if output is not None and Path(output).suffix.lower() not in _SUFFIXES:
        raise click.UsageError(f"-o takes a file whose name ends with {', '.join(_SUFFIXES)}.")
    check_place(output)
    with invocation.connected() as connection:
        if dataset is not None:
            body = {name: value for name, value in said.items() if value is not None}
            body |= {"models": list(models)} if models else {}
            body["dataset_id"] = datasets.find_id(connection, dataset)
            job_id = evaluations.start(connection, body)
        assert job_id is not None
        try:
            if dataset is not None:
                tell_of_job(job_id)
            _await(connection, job_id)
        except KeyboardInterrupt:
            tell_left_alone("evaluate-speech", job_id, output)
            return _INTERRUPTED
        _hand_over(connection, job_id, output, invocation.as_json)
    return 0


def _await(connection: Connection, job_id: str) -> None:
    def shown(job: dict[str, Any]) -> dict[str, Any]:
        """The job with the progress of its models: it has none of its own."""
        with suppress(LostError, RefusedError):
            return job | {"progress": evaluations.progress(connection, job_id)}
        return job

    finished(connection, job_id, "evaluating", shown)


def _hand_over(connection: Connection, job_id: str, output: str | None, as_json: bool) -> None:
    report: dict[str, Any] = evaluations.get(connection, job_id)["report"]
    if as_json:
        write_json(report)
    else:
        _write(report)
    if output is None:
        return
    num_bytes = save(_content(connection, job_id, report, Path(output).suffix.lower()), Path(output))
    (note if as_json else say)(f"Wrote {size(num_bytes)} to {whole(output)}.")


def _content(connection: Connection, job_id: str, report: dict[str, Any], suffix: str) -> Iterator[bytes]:
    match suffix:
        case ".html":
            yield from evaluations.page(connection, job_id)
        case ".jsonl":
            yield from evaluations.samples(connection, job_id)
        case _:
            yield json.dumps(report, ensure_ascii=False, indent=1).encode() + b"\n"


def _write(report: dict[str, Any]) -> None:
    write_table(_HEADER, [_row(one) for one in report["models"]], "No model was compared.")
    for one in report["models"]:
        if one["error"]:
            note(f"! {printable(one['name'])}: {printable(one['error'])}")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    rates = [
        f"{one[form][unit]['rate']:.1%}" if one[form] else "-"
        for form in ("normalised", "plain")
        for unit in ("words", "characters")
    ]
    factor = one["real_time_factor"]
    return (
        *rates,
        f"{one['num_samples']:,}",
        f"{one['num_unreadable']:,}",
        "-" if factor is None else f"{factor:.3f}",
        one["name"],
    )
