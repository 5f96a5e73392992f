"""`simorgh transcribe`: writes down what is said in an audio file."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import Any

import click

from simorgh_cli.api import voice
from simorgh_cli.api.connection import Connection
from simorgh_cli.commands.options import TEXT, Invocation, asks_api
from simorgh_cli.commands.outputs import check_place, form_of
from simorgh_cli.commands.saving import reason, save
from simorgh_cli.commands.voice_jobs import finished, tell_left_alone, tell_nothing_goes_on, tell_of_job
from simorgh_cli.terminal.output import say, size, write, write_json
from simorgh_cli.terminal.text import printable, whole
from simorgh_cli.terminal.transfer import moving
from simorgh_shared.domain.errors import InvalidInputError

_FORMATS = ("text", "srt", "vtt", "json")
_FORMAT_OF_SUFFIX = {".txt": "text", ".srt": "srt", ".vtt": "vtt", ".json": "json"}
_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
_COPY_BYTES = 1 << 20
_INTERRUPTED = 130


@click.command()
@click.argument("file", type=_FILE, required=False)
@click.option("--job", "job_id", type=TEXT, metavar="ID", help="Go on watching a job in place of sending a file.")
@click.option("--model", type=TEXT, help="A Whisper model (default: the newest that hears the language).")
@click.option("--language", type=TEXT, help="What is spoken, such as fa (default: detected).")
@click.option("--prompt", type=TEXT, help="Text that is taken to come before: names and spellings follow it.")
@click.option("--translate", is_flag=True, help="Write English, whatever is spoken.")
@click.option("--words", is_flag=True, help="With --format json: the time of each word too.")
@click.option("--format", "form", type=click.Choice(_FORMATS), help="Default: that of the output's suffix, else text.")
@click.option("-o", "--output", metavar="FILE", help="Where to (default: standard output).")
@asks_api
def transcribe(
    invocation: Invocation,
    file: Path | None,
    job_id: str | None,
    translate: bool,
    words: bool,
    form: str | None,
    output: str | None,
    **said: Any,
) -> int:
    """Write down what is said in FILE: text, subtitles or JSON. FILE may be - for standard input.

    Ctrl-C leaves the job of a long file alone.
    """
    fields = {name: value for name, value in said.items() if value}
    fields |= {"task": "translate"} if translate else {}
    fields |= {"timestamp_granularities[]": "word"} if words else {}
    output = None if output == "-" else output
    if (file is None) == (job_id is None):
        raise click.UsageError("Name a FILE to send, or a job with --job.")
    if job_id is not None and fields:
        raise click.UsageError("How a job listens was said when it began: --job goes with --format and -o alone.")
    written = _format(form, output, words, invocation.as_json)
    check_place(output)
    with invocation.connected() as connection:
        try:
            if file is not None:
                job_id, has_ended = _sent(connection, file, fields)
                if not has_ended:
                    tell_of_job(job_id)
            assert job_id is not None
            finished(connection, job_id, "transcribing")
        except KeyboardInterrupt:
            if job_id is None:
                tell_nothing_goes_on()
            else:
                tell_left_alone("transcribe", job_id, output, ["--format", form] if form else [])
            return _INTERRUPTED
        _hand_over(connection, job_id, written, output, invocation.as_json)
    return 0


def _format(given: str | None, output: str | None, words: bool, as_json: bool) -> str:
    """What is written; --json says what is written to standard output where nothing else is."""
    if as_json and output is None and given not in (None, "json"):
        raise click.UsageError(f"--json writes JSON: leave --format {given} out, or name a file for it with -o.")
    form = form_of(output, given, _FORMAT_OF_SUFFIX, "json" if as_json and output is None else "text")
    if words and form != "json":
        raise click.UsageError(f"--words needs --format json: {form} has no times of words.")
    return form


def _sent(connection: Connection, file: Path, fields: dict[str, Any]) -> tuple[str, bool]:
    try:
        with _whole_file(file) as path, moving("sending", path.stat().st_size) as moved:
            return voice.transcribe(connection, path, fields, moved)
    except OSError as error:
        raise InvalidInputError("file_unusable", path=str(file), reason=reason(error)) from error


@contextmanager
def _whole_file(given: Path) -> Iterator[Path]:
    """The file; of standard input a copy, for what is sent may have to be sent again."""
    if str(given) != "-":
        yield given
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "standard-input"
        with copy.open("wb") as file:
            copyfileobj(sys.stdin.buffer, file, _COPY_BYTES)
        yield copy


def _hand_over(connection: Connection, job_id: str, form: str, output: str | None, as_json: bool) -> None:
    if form == "json":
        found = voice.detailed_transcript(connection, job_id)
        if output is None:
            write_json(found)
            return
        text = _as_file(found)
    else:
        text = voice.transcript(connection, job_id, form)
    if output is None:
        write(printable(text, keep="\n\t"))
        return
    num_bytes = save(_pieces(text), Path(output))
    if as_json:
        write_json({"job_id": job_id, "path": whole(output), "bytes": num_bytes})
    else:
        say(f"Wrote {size(num_bytes)} to {whole(output)}.")


def _as_file(found: dict[str, Any]) -> str:
    import json

    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def _pieces(text: str) -> Iterator[bytes]:
    yield text.encode()
