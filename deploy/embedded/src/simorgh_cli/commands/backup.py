"""`simorgh backup` and `simorgh restore`: of the platform of a data folder, or of one that variables name."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
import psycopg
from argon2 import PasswordHasher

from simorgh_cli import lock
from simorgh_cli.api.accounts import LOCAL_EMAIL
from simorgh_cli.backing.secrets import SecretStore
from simorgh_cli.backing.servers import BackingServers
from simorgh_cli.commands.options import data_option
from simorgh_cli.environment import OWNER_URL, embedded_servers, server_variables
from simorgh_cli.lock import FolderLock
from simorgh_cli.terminal.output import note
from simorgh_shared.backup import main, restoring, taking
from simorgh_shared.backup.settings import BackupSettings
from simorgh_shared.domain.errors import ConflictError, InvalidInputError, NotFoundError
from simorgh_shared.settings import read_settings

_MANIFEST_KEY = "SIMORGH_MANIFEST_KEY"
_BEGUN = "restore-begun"
"""A file that says that the folder was new when a restore began that has not ended yet."""


@click.command()
@click.option("--to", "target", required=True, metavar="FOLDER|s3://BUCKET/PREFIX", help="Where backups are kept.")
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="Let older backups go but for the newest N.")
@click.option("--verify", is_flag=True, help="Read what lies there already, too, and mend it.")
@data_option
@click.pass_obj
def backup(environment: Mapping[str, str], data: Path, target: str, keep: int | None, verify: bool) -> int:
    """Back up a platform, which may be running: its database, then every file that it names.

    Files that lie there already are not sent again. Ends with 3 where files turned out to be lost in storage.
    """
    options = taking.Options(keep, verify)
    if _is_named(environment):
        return main.run_backup(read_settings(BackupSettings), target, options)
    if not (data / "secrets.json").exists():
        raise NotFoundError("backup_no_platform", folder=str(data.resolve()))
    if not target.startswith("s3://") and Path(target).expanduser().resolve().is_relative_to(data.resolve()):
        raise InvalidInputError("backup_within", target=target, folder=str(data.resolve()))
    if lock.is_held(data):
        servers = BackingServers(data, only=_needed(environment))
        return main.run_backup(_settings(environment, servers, running=True), target, options)
    with _started(data, environment) as settings:
        return main.run_backup(settings, target, options)


@click.command()
@click.option("--from", "source", required=True, metavar="FOLDER|s3://BUCKET/PREFIX", help="Where backups are kept.")
@click.option("--backup", "name", metavar="NAME", help="Which one (default: the newest).")
@click.option("--reuse-storage", is_flag=True, help="The storage has survived: keep what is good in it.")
@click.option("--unsigned", is_flag=True, help="Take one that the platform's own key has not signed.")
@data_option
@click.pass_obj
def restore(
    environment: Mapping[str, str], data: Path, source: str, name: str | None, reuse_storage: bool, unsigned: bool
) -> int:
    """Bring a backup back into an empty platform whose services do not run.

    A run that was interrupted goes on when it is run again. Nothing that is there is replaced.
    """
    if _is_named(environment):
        options = restoring.Options(name, reuse_storage, unsigned)
        return main.run_restore(read_settings(BackupSettings), source, options)
    if lock.is_held(data):
        raise ConflictError("restore_platform_up", folder=str(data.resolve()))
    _require_backup(source)
    begun = data / _BEGUN
    is_new = begun.exists() or not ((data / "secrets.json").exists() or environment.get(_MANIFEST_KEY))
    if is_new:
        note("This data folder is new and has a key of its own: who signed the backup is not checked.")
        data.mkdir(parents=True, exist_ok=True)
        begun.touch()
    options = restoring.Options(name, reuse_storage, unsigned or is_new)
    with _started(data, environment) as settings:
        exit_code = main.run_restore(settings, source, options)
        _let_local_user_in(data, settings)
    begun.unlink(missing_ok=True)
    return exit_code


def _require_backup(source: str) -> None:
    """Before a folder gets keys of its own, for a backup that is not there."""
    if not source.startswith("s3://") and not any(Path(source).expanduser().glob("backups/*/manifest.json")):
        raise NotFoundError("backup_none", place=source)


def _let_local_user_in(data: Path, settings: BackupSettings) -> None:
    """Give the user of `login --local` the password that this folder keeps: no backup holds the old folder's."""
    hashed = PasswordHasher().hash(SecretStore(data / "secrets.json").get("local_user_password"))
    owner = settings.database_owner_url.get_secret_value().replace("+psycopg", "")
    with psycopg.connect(owner) as connection:
        connection.execute("UPDATE users SET password_hash = %s WHERE email = %s", (hashed, LOCAL_EMAIL))


def _is_named(environment: Mapping[str, str]) -> bool:
    return bool(environment.get(OWNER_URL) or environment.get(f"{OWNER_URL}_FILE"))


def _needed(environment: Mapping[str, str]) -> list[str]:
    return [name for name in embedded_servers(environment) if name != "valkey"]


@contextmanager
def _started(data: Path, environment: Mapping[str, str]) -> Iterator[BackupSettings]:
    """The folder's servers for as long as this takes, and nobody else on it."""
    holder = FolderLock(data.resolve())
    servers = BackingServers(data, only=_needed(environment))
    try:
        servers.start()
        yield _settings(environment, servers, running=False)
    finally:
        servers.stop()
        holder.release()


def _settings(environment: Mapping[str, str], servers: BackingServers, *, running: bool) -> BackupSettings:
    at = servers.running_endpoints() if running else servers.endpoints()
    key = {_MANIFEST_KEY: environment.get(_MANIFEST_KEY) or servers.secrets.get("manifest_key")}
    told = {**environment, **server_variables(environment, at), **key}
    prefix = "SIMORGH_"
    return BackupSettings.model_validate(
        {name.removeprefix(prefix).lower(): value for name, value in told.items() if name.startswith(prefix)}
    )
