"""`simorgh speak`: has a text spoken into an audio file."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from simorgh_cli.api import voice
from simorgh_cli.api.connection import Connection
from simorgh_cli.commands.options import TEXT, Invocation, asks_api
from simorgh_cli.commands.outputs import check_place, form_of, suffix_of
from simorgh_cli.commands.saving import save
from simorgh_cli.commands.speak_text import text_to_speak
from simorgh_cli.commands.voice_jobs import finished, tell_left_alone, tell_nothing_goes_on, tell_of_job
from simorgh_cli.terminal.output import say, size, write_json, write_table
from simorgh_cli.terminal.text import printable, whole

_FORMATS = ("mp3", "wav", "flac", "opus", "aac", "pcm")
_FORMAT_OF_SUFFIX = {".mp3": "mp3", ".ogg": "opus", **{f".{form}": form for form in _FORMATS}}
_INTERRUPTED = 130


@click.command()
@click.argument("text", metavar="[TEXT]", type=TEXT, required=False)
@click.option("--voice", type=TEXT, help="A voice such as espeak:fa (default: that of the language).")
@click.option("--language", type=TEXT, help="The text's language (default: told by its letters).")
@click.option("--speed", type=click.FloatRange(0.25, 4), help="1 is usual.")
@click.option("--pitch", type=click.FloatRange(0.5, 2), help="1 is usual; only where the voice can.")
@click.option("--format", "form", type=click.Choice(_FORMATS), help="Default: that of the output's suffix, else mp3.")
@click.option("-o", "--output", metavar="FILE", help="Where to; - is standard output (default: speech.mp3).")
@click.option("--job", "job_id", type=TEXT, metavar="ID", help="Fetch the audio of a job that was left alone.")
@click.option("--voices", "lists_voices", is_flag=True, help="List the voices that there are, and end.")
@asks_api
def speak(
    invocation: Invocation,
    text: str | None,
    form: str | None,
    output: str | None,
    job_id: str | None,
    lists_voices: bool,
    **said: Any,
) -> int:
    """Have TEXT spoken. It may be the name of a text file, or - for standard input."""
    if lists_voices:
        with invocation.connected() as connection:
            _list(connection, invocation.as_json)
        return 0
    given = {name: value for name, value in said.items() if value is not None}
    if job_id is not None and (given or text is not None):
        raise click.UsageError("What a job speaks was said when it began: --job goes with -o alone.")
    wanted = form_of(output, form, _FORMAT_OF_SUFFIX, "mp3")
    check_place(output)
    body = {} if job_id is not None else given | {"text": text_to_speak(text), "format": wanted}
    with invocation.connected() as connection:
        try:
            if job_id is not None:
                wanted = _format_of(connection, job_id, wanted if form or suffix_of(output) else None)
            target = output or f"speech.{'ogg' if wanted == 'opus' else wanted}"
            num_bytes = _of_job(connection, job_id, target) if job_id else _spoken(connection, body, target)
        except KeyboardInterrupt:
            return _INTERRUPTED
    if target == "-":
        return 0
    if invocation.as_json:
        write_json({"path": whole(target), "bytes": num_bytes, "format": wanted})
    else:
        say(f"Wrote {size(num_bytes)} to {whole(target)}.")
    return 0


def _format_of(connection: Connection, job_id: str, wanted: str | None) -> str:
    """The format that the job was asked for; no other can be had of it.

    Raises: click.UsageError where another one is wanted, RefusedError, LostError.
    """
    found = str(voice.speech_job(connection, job_id)["spec"]["format"])
    if wanted not in (None, found):
        suffixes = " or ".join(suffix for suffix, form in _FORMAT_OF_SUFFIX.items() if form == found)
        raise click.UsageError(f"Job {job_id} speaks {found}, not {wanted}: name a file that ends with {suffixes}.")
    return found


def _spoken(connection: Connection, body: dict[str, Any], target: str) -> int:
    job_id = None
    try:
        with voice.spoken(connection, body) as made:
            if not isinstance(made, str):
                return _put(made, target)
            job_id = made
            tell_of_job(job_id)
    except KeyboardInterrupt:
        if job_id is None:
            tell_nothing_goes_on()
        else:
            tell_left_alone("speak", job_id, target)
        raise
    return _of_job(connection, job_id, target)


def _of_job(connection: Connection, job_id: str, target: str) -> int:
    try:
        finished(connection, job_id, "speaking")
    except KeyboardInterrupt:
        tell_left_alone("speak", job_id, target)
        raise
    with voice.audio(connection, job_id) as chunks:
        return _put(chunks, target)


def _put(chunks: Iterator[bytes], target: str) -> int:
    if target != "-":
        return save(chunks, Path(target))
    num_bytes = 0
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        num_bytes += len(chunk)
    return num_bytes


def _list(connection: Connection, as_json: bool) -> None:
    found = connection.get("/api/tts/voices")["data"]
    if as_json:
        write_json({"voices": found})
        return
    rows = [
        (
            printable(one["voice"]),
            ", ".join(one["language_names"]),
            one["engine"],
            "yes" if one["is_default"] else "",
            one["licence"] or "",
        )
        for one in found
    ]
    write_table(("VOICE", "LANGUAGES", "ENGINE", "DEFAULT", "LICENCE"), rows, "There are no voices.")
