"""`simorgh models download`, `verify` and `signing-key`: a model's files here, and whether they are those that were
signed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from simorgh_cli.api import folders
from simorgh_cli.api import models as calls
from simorgh_cli.api.connection import Connection
from simorgh_cli.api.errors import RefusedError
from simorgh_cli.commands.options import TEXT, Invocation, asks_api
from simorgh_cli.terminal.output import note, say, size, write_json
from simorgh_cli.terminal.text import printable, whole
from simorgh_cli.terminal.transfer import moving
from simorgh_shared import attestation
from simorgh_shared.attestation import AttestationError, Statement
from simorgh_shared.domain.errors import InvalidInputError

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("model", metavar="MODEL", type=TEXT)
@click.argument("folder", type=click.Path(path_type=Path))
@asks_api
def download(invocation: Invocation, model: str, folder: Path) -> None:
    """Write a model's files to FOLDER, each checked against the signed manifest, which is kept as FOLDER.manifest.json.

    The signature is checked with the platform's own key: keep that by `simorgh models signing-key` to check it later.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError("folder_not_empty", path=str(folder))
    with invocation.connected() as connection, _disk_errors(folder):
        version_id, envelope = _manifest(connection, model)
        expected = None
        if envelope is not None:
            key = calls.signing_key(connection)["public_key"]
            expected = _believed(envelope, key, f"of {model}").files
        with moving("downloading", None) as moved:
            num_bytes = folders.unpack(calls.download(connection, version_id), folder, expected, moved)
        kept = folder.with_name(f"{folder.name}.manifest.json")
        if envelope is not None:
            kept.write_text(json.dumps(envelope) + "\n")
    if invocation.as_json:
        manifest = whole(str(kept)) if envelope is not None else None
        write_json({"path": whole(str(folder)), "bytes": num_bytes, "version_id": version_id, "manifest": manifest})
        return
    say(f"Wrote {size(num_bytes)} to {whole(str(folder))}.")
    if envelope is not None:
        say(f"The signed manifest is {whole(str(kept))}.")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--manifest", "manifest_file", type=_FILE, required=True, help="The signed manifest.")
@click.option("--key", "key_file", type=_FILE, help="The public key of whom you trust, as `signing-key` writes it.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")
def verify(folder: Path, manifest_file: Path, key_file: Path | None, as_json: bool) -> None:
    """Whether FOLDER holds exactly the files of a manifest, and whether this key has signed it. Needs no platform."""
    with _disk_errors(manifest_file):
        key = key_file.read_text("utf-8", "replace") if key_file is not None else None
        try:
            envelope = json.loads(manifest_file.read_bytes())
        except ValueError:
            envelope = None
        statement = _believed(envelope, key, str(manifest_file))
        found = folders.hashes(folder)
    differing = [
        *(f"{path}: is missing" for path in sorted(set(statement.files) - set(found))),
        *(f"{path}: is not in the manifest" for path in sorted(set(found) - set(statement.files))),
        *(
            f"{path}: has the SHA-256 {found[path]}, the manifest says {statement.files[path]}"
            for path in sorted(set(found) & set(statement.files))
            if found[path] != statement.files[path]
        ),
    ]
    if differing:
        num_files = len(statement.files)
        details = [printable(line) for line in differing]
        raise InvalidInputError("model_files_differ", details=details, differing=len(differing), files=num_files)
    if as_json:
        write_json({"files": len(found), "signed_by": statement.key_ids[0] if key else None})
        return
    say(f"All {len(found)} files are those of the manifest.")
    if key is None:
        note("Nobody vouches for the manifest: name the key that you trust with --key.")
    else:
        say(f"The key {statement.key_ids[0][:16]}… has signed it.")


@click.command("signing-key")
@asks_api
def signing_key(invocation: Invocation) -> None:
    """The platform's public key, for `verify --key`. Keep it where manifests do not come from."""
    with invocation.connected() as connection:
        found = calls.signing_key(connection)
    if invocation.as_json:
        write_json(found)
    else:
        say(found["public_key"].rstrip())


def _manifest(connection: Connection, model: str) -> tuple[str, dict[str, Any] | None]:
    """The exact version that is to come, and its manifest; None from a platform that signs nothing."""
    version_id = str(calls.get_version(connection, model))
    try:
        return version_id, calls.manifest(connection, version_id)
    except RefusedError as error:
        if error.code != "manifest_key_missing":
            raise
        note("This platform signs no manifests: the files are checked against the hashes that come with them.")
        return version_id, None


def _believed(envelope: object, key: str | None, where: str) -> Statement:
    try:
        return attestation.read(envelope, key)
    except AttestationError as error:
        raise InvalidInputError("manifest_not_believed", path=where, reason=str(error)) from error


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidInputError("file_unusable", path=str(path), reason=reason) from error
