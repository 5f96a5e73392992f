"""Lets go of old backups and of what interrupted ones have left, never of a blob that a whole backup names."""

from simorgh_shared.backup.contents import (
    BACKUPS,
    BLOBS,
    MANIFEST,
    complete_backups,
    read_blob_lines,
    read_contents,
)
from simorgh_shared.backup.places import Place


def prune(place: Place, keep: int) -> int:
    """Keep the newest whole backups and what they need; returns how many were let go.

    A manifest goes before the files that it names: what is left of a backup in between is no backup.
    """
    names = complete_backups(place)
    doomed = names[: -max(keep, 1)]
    for name in doomed:
        place.delete(f"{BACKUPS}{name}/{MANIFEST}")
    sweep(place)
    needed = {
        line.file
        for name in names[-max(keep, 1) :]
        for line in read_blob_lines(place, read_contents(place, name)[0])
        if not line.lost
    }
    for file in [file for file, _ in place.sizes(BLOBS) if file not in needed]:
        place.delete(file)
    return len(doomed)


def sweep(place: Place) -> None:
    """Drop the own files of backups without a manifest. Blobs stay: the next backup need not send them again."""
    place.sweep()
    whole = set(complete_backups(place))
    for file in [file for file, _ in place.sizes(BACKUPS)]:
        if file.removeprefix(BACKUPS).partition("/")[0] not in whole:
            place.delete(file)
