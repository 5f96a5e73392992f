"""Entry points of `simorgh-backup` and `simorgh-restore`; the `simorgh` command calls the same functions."""

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from simorgh_shared.backup import restoring, taking
from simorgh_shared.backup.places import open_place
from simorgh_shared.backup.settings import BackupSettings
from simorgh_shared.domain.errors import AppError
from simorgh_shared.logging import configure_logging
from simorgh_shared.settings import read_settings

LOST_BLOBS = 3
"""The exit status of a backup that is whole but for objects that were found lost in storage."""


def backup(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `simorgh-backup`."""
    parser = argparse.ArgumentParser("simorgh-backup", description="Back up a platform, which may be running.")
    parser.add_argument("--to", required=True, metavar="FOLDER|s3://BUCKET/PREFIX")
    parser.add_argument("--keep", type=_at_least_one, metavar="N", help="let older backups go but for the newest N")
    parser.add_argument("--verify", action="store_true", help="read what lies there already, too")
    asked = parser.parse_args(arguments)

    def run(settings: BackupSettings) -> int:
        return run_backup(settings, asked.to, taking.Options(asked.keep, asked.verify))

    return _with_settings("backup", run)


def restore(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `simorgh-restore`."""
    parser = argparse.ArgumentParser("simorgh-restore", description="Restore a backup into an empty platform.")
    parser.add_argument("--from", dest="source", required=True, metavar="FOLDER|s3://BUCKET/PREFIX")
    parser.add_argument("--backup", metavar="NAME", help="which one (default: the newest)")
    parser.add_argument("--reuse-storage", action="store_true", help="the storage survived: keep what is good in it")
    parser.add_argument("--unsigned", action="store_true", help="take one that SIMORGH_MANIFEST_KEY has not signed")
    asked = parser.parse_args(arguments)

    def run(settings: BackupSettings) -> int:
        return run_restore(settings, asked.source, restoring.Options(asked.backup, asked.reuse_storage, asked.unsigned))

    return _with_settings("restore", run)


def run_backup(settings: BackupSettings, to: str, options: taking.Options) -> int:
    """Take a backup and tell about it; the exit status.

    Raises: AppError.
    """
    place = open_place(to, settings.backup_storage)
    taken = taking.take(settings, place, options, datetime.now(UTC), _say)
    if taken.num_removed:
        older = "1 older backup was" if taken.num_removed == 1 else f"{taken.num_removed} older backups were"
        _say(f"{older} let go.")
    contents = taken.contents
    if contents.num_lost:
        _say(f"{contents.num_lost} blobs could not be kept: storage has lost them, and no backup here has them.")
    for sha256 in taken.newly_lost:
        _say(f"  lost: {sha256}")
    _say(f"Backup {contents.name} is whole: {contents.num_blobs - contents.num_lost:,} blobs in {to}.")
    return LOST_BLOBS if taken.newly_lost else 0


def run_restore(settings: BackupSettings, source: str, options: restoring.Options) -> int:
    """Restore a backup and tell about it; the exit status.

    Raises: AppError.
    """
    place = open_place(source, settings.backup_storage)
    restored = restoring.restore(settings, place, options, _say)
    if restored.num_lost:
        _say(f"{restored.num_lost} blobs were lost before the backup was taken: what is made of them stays damaged.")
    _say("Everybody signs in again; API keys are as they were. Start the services now.")
    return 0


def _with_settings(service: str, run: Callable[[BackupSettings], int]) -> int:
    try:
        settings = read_settings(BackupSettings)
        configure_logging(service, settings.log_level)
        return run(settings)
    except AppError as error:
        sys.stderr.write(f"simorgh-{service}: {error}\n")
        return 1


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one backup is kept")
    return number
