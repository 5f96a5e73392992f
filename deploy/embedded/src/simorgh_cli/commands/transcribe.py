"""`simorgh transcribe`: writes down what is said in an audio file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from simorgh_cli.api import voice
from simorgh_cli.api.connection import Connection
from simorgh_cli.commands.options import TEXT, Invocation, asks_api
from simorgh_cli.commands.saving import reason, save
from simorgh_cli.commands.voice_jobs import finished, tell_of_job
from simorgh_cli.terminal.output import note, say, size, write, write_json
from simorgh_cli.terminal.text import printable, whole
from simorgh_cli.terminal.transfer import moving
from simorgh_shared.domain.errors import InvalidInputError

_FORMATS = ("text", "srt", "vtt", "json")
_FORMAT_OF_SUFFIX = {".srt": "srt", ".vtt": "vtt", ".json": "json"}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
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
    """Write down what is said in FILE: text, subtitles or JSON. Ctrl-C leaves the job of a long file alone."""
    if (file is None) == (job_id is None):
        raise click.UsageError("Name a FILE to send, or a job with --job.")
    form = form or ("json" if invocation.as_json else _FORMAT_OF_SUFFIX.get(Path(output or "").suffix.lower(), "text"))
    fields = {name: value for name, value in said.items() if value}
    fields |= {"task": "translate"} if translate else {}
    fields |= {"timestamp_granularities[]": "word"} if words else {}
    with invocation.connected() as connection:
        if file is not None:
            job_id = _sent(connection, file, fields)
        assert job_id is not None
        try:
            finished(connection, job_id, "transcribing")
        except KeyboardInterrupt:
            named = f" -o {printable(output)}" if output else ""
            note(f"Left job {job_id} alone: it goes on. Get it with: simorgh transcribe --job {job_id}{named}")
            return _INTERRUPTED
        _hand_over(connection, job_id, form, output, invocation.as_json)
    return 0


def _sent(connection: Connection, file: Path, fields: dict[str, Any]) -> str:
    try:
        num_bytes = file.stat().st_size
        with moving("sending", num_bytes) as moved:
            job_id, has_ended = voice.transcribe(connection, file, fields, moved)
    except OSError as error:
        raise InvalidInputError("file_unusable", path=str(file), reason=reason(error)) from error
    if not has_ended:
        tell_of_job(job_id)
    return job_id


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
