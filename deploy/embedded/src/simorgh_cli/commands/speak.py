"""`simorgh speak`: has a text spoken into an audio file."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from simorgh_cli.api import voice
from simorgh_cli.api.connection import Connection
from simorgh_cli.commands.options import TEXT, Invocation, asks_api
from simorgh_cli.commands.saving import reason, save
from simorgh_cli.commands.voice_jobs import finished, tell_of_job
from simorgh_cli.terminal.output import note, say, size, write_json, write_table
from simorgh_cli.terminal.text import printable, whole
from simorgh_shared.domain.errors import InvalidInputError

_FORMATS = ("mp3", "wav", "flac", "opus", "aac", "pcm")
_FORMAT_OF_SUFFIX = {".ogg": "opus", **{f".{form}": form for form in _FORMATS}}
_INTERRUPTED = 130


@click.command()
@click.argument("text", metavar="TEXT", type=TEXT, default="-")
@click.option("--voice", "voice_name", type=TEXT, help="A voice such as espeak:fa (default: that of the language).")
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
    text: str,
    form: str | None,
    output: str | None,
    job_id: str | None,
    lists_voices: bool,
    voice_name: str | None,
    **said: Any,
) -> int:
    """Have TEXT spoken. It may be the name of a text file, or - for standard input."""
    with invocation.connected() as connection:
        if lists_voices:
            _list(connection, invocation.as_json)
            return 0
        form = form or _FORMAT_OF_SUFFIX.get(Path(output or "").suffix.lower(), "mp3")
        target = output or f"speech.{'ogg' if form == 'opus' else form}"
        try:
            if job_id is not None:
                num_bytes = _of_job(connection, job_id, target)
            else:
                given = {name: value for name, value in said.items() if value is not None}
                body = given | ({"voice": voice_name} if voice_name else {}) | {"text": _text(text), "format": form}
                num_bytes = _spoken(connection, body, target)
        except KeyboardInterrupt:
            return _INTERRUPTED
    if target == "-":
        return 0
    if invocation.as_json:
        write_json({"path": whole(target), "bytes": num_bytes, "format": form})
    else:
        say(f"Wrote {size(num_bytes)} to {whole(target)}.")
    return 0


def _text(given: str) -> str:
    if given == "-":
        text = whole(sys.stdin.read())
    elif (path := Path(given)) and len(given) < 1_000 and _is_file(path):  # a name that is longer is none
        try:
            text = whole(path.read_bytes().decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise InvalidInputError("file_unusable", path=str(path), reason="it is no text in UTF-8") from error
        except OSError as error:
            raise InvalidInputError("file_unusable", path=str(path), reason=reason(error)) from error
    else:
        text = given
    if not text.strip():
        raise InvalidInputError("nothing_said")
    return text


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _spoken(connection: Connection, body: dict[str, Any], target: str) -> int:
    with voice.spoken(connection, body) as made:
        if not isinstance(made, str):
            return _put(made, target)
    tell_of_job(made)
    return _of_job(connection, made, target)


def _of_job(connection: Connection, job_id: str, target: str) -> int:
    try:
        finished(connection, job_id, "speaking")
    except KeyboardInterrupt:
        note(f"Left job {job_id} alone: it goes on. Get it with: simorgh speak --job {job_id}")
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
