"""`simorgh optimize`: another form of a model, measured before and after."""

from typing import Any

import click

from simorgh_cli.api import optimizations, voice
from simorgh_cli.api.connection import Connection
from simorgh_cli.api.errors import in_our_words
from simorgh_cli.commands.options import TEXT, Invocation, asks_api
from simorgh_cli.terminal.output import note, say, size, write_json, write_table
from simorgh_cli.terminal.text import printable
from simorgh_shared.domain.errors import ConflictError
from simorgh_shared.domain.jobs import JobStatus

_METHODS = (
    "merge", "gguf", "onnx", "onnx-int8", "openvino-int8", "openvino-int4", "prune-magnitude", "prune-structured"
)  # fmt: skip
_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)
_RECOVERY = {"steps": "steps", "dataset": "dataset", "learning_rate": "rate"}
_INTERRUPTED = 130
_UNKNOWN = "-"


@click.command("optimize")
@click.argument("model", type=TEXT)
@click.option("--method", type=click.Choice(_METHODS), required=True)
@click.option("--precision", type=click.Choice(["f16", "q8_0"]), help="Of gguf (default: f16).")
@click.option("--sparsity", type=_SHARE, help="Of pruning: the share of weights or neurons (default: 0.3).")
@click.option("--head-sparsity", type=_SHARE, help="Of prune-structured: the share of groups of heads (default: none).")
@click.option("--recovery-steps", type=click.IntRange(1, 10_000), help="Of pruning: train it on for so many steps.")
@click.option("--recovery-dataset", type=TEXT, help="On this one (default: rows not held out of the measured one).")
@click.option("--recovery-rate", type=click.FloatRange(0, 0.1, min_open=True), help="Learning rate (default: 0.0001).")
@click.option("--dataset", type=TEXT, help="Whose held-out rows are measured (default: the model's own).")
@click.option("--rows", type=click.IntRange(1, 2_000), help="So many held-out rows at most.")
@click.option("--prompts", type=click.IntRange(1, 100), help="So many of them are answered at most.")
@click.option("--max-perplexity-increase", type=click.FloatRange(0), help="A share: 0.01 allows one hundredth more.")
@click.option("--min-speedup", type=click.FloatRange(0, min_open=True), help="Tokens a second, times those before.")
@click.option("--name", type=TEXT, help="Of the new model (default: the model's name and the method).")
@click.option("--watch", is_flag=True, help="Wait for it, and show what was measured.")
@asks_api
def optimize(invocation: Invocation, model: str, watch: bool, **said: Any) -> int:
    """Make another form of MODEL: merged with its base, pruned, OpenVINO, ONNX or GGUF.

    A version that misses the gate is kept, but does not become the champion: with --watch the exit code is 1 then.
    Ctrl-C leaves the job alone.
    """
    gate = {name: said.pop(name) for name in ("max_perplexity_increase", "min_speedup")}
    body = {"model": model, **{name: value for name, value in said.items() if value is not None}}
    recovery = {name: body.pop(f"recovery_{short}", None) for name, short in _RECOVERY.items()}
    if any(value is not None for value in recovery.values()):
        body["recovery"] = {name: value for name, value in recovery.items() if value is not None}
    body["gate"] = {name: value for name, value in gate.items() if value is not None}
    with invocation.connected() as connection:
        job_id = optimizations.start(connection, body)
        note(f"This takes a while: job {job_id}.")
        if watch:
            try:
                wait(connection, job_id)
            except KeyboardInterrupt:
                note(f"Left job {job_id} alone: it goes on.")
                return _INTERRUPTED
        found = optimizations.get(connection, job_id)
        if invocation.as_json:
            write_json(found)
        elif watch:
            write_report(found)
        else:
            say(job_id)
            note(f"simorgh optimizations show {job_id} tells what was measured, once it has ended.")
    return 1 if watch and found["report"]["gate"]["missed"] else 0


def wait(connection: Connection, job_id: str) -> None:
    """Wait until it has succeeded.

    Raises: ConflictError with why it has not, RefusedError, LostError.
    """
    told: set[str] = set()

    def show(job: dict[str, Any]) -> None:
        phase = (job.get("progress") or {}).get("phase")
        if phase and phase not in told:
            told.add(phase)
            note(f"{printable(str(phase))} …")

    job = voice.ended(connection, job_id, show)
    if job["status"] == JobStatus.SUCCEEDED:
        return
    error = job.get("error") or {}
    reason = in_our_words(str(error.get("code", "")), str(error.get("message") or f"job {job_id} is {job['status']}"))
    raise ConflictError("api_refused", reason=printable(reason))


def write_report(found: dict[str, Any]) -> None:
    """Before and after side by side, the gate, and what was made."""
    report = found["report"]
    before, after = report["before"], report["after"]
    rows = [
        ("weights", size(before["bytes"]), size(after["bytes"])),
        ("perplexity", f"{before['perplexity']:.4g}", f"{after['perplexity']:.4g}"),
        ("tokens/s", _figure(before["tokens_per_s"], ".1f"), _figure(after["tokens_per_s"], ".1f")),
        ("first token, ms", _figure(before["first_token_ms"], ".1f"), _figure(after["first_token_ms"], ".1f")),
        ("peak memory", _bytes(before["peak_memory_bytes"]), _bytes(after["peak_memory_bytes"])),
    ]
    write_table(("", "BEFORE", "AFTER"), rows, "Nothing was measured.")
    same, held_out = report["agreement"], report["held_out"]
    say(f"Measured on {held_out['tokens']:,} tokens of {held_out['rows']:,} rows ({held_out['source']}).")
    say(f"{same['equal']} of {same['prompts']} greedy answers are the same.")
    if held_out["source"] == "all rows":
        note("! No row could be held out: the model may have learnt these very rows. Name others with --dataset.")
    for reason in sorted(set(after["missing"].values())):
        note(f"Not measured: {printable(reason)}.")
    for reason in report["gate"]["missed"]:
        note(f"! Not promotable: {printable(reason)}.")
    if found["check_of"] is None:
        say(f"Made {printable(found['model_name'])}, version {found['version']}: {found['model_version_id']}")


def _figure(value: float | None, form: str) -> str:
    return _UNKNOWN if value is None else format(value, form)


def _bytes(value: int | None) -> str:
    return _UNKNOWN if value is None else size(value)
