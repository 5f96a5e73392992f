"""Audio sets as the import makes them: rows that name clips of the version's manifest."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from simorgh_shared.db.repositories import datasets
from simorgh_shared.db.repositories.datasets import CheckedFile, Content
from simorgh_shared.storage.manifests import Entry
from tests.support.engine import Engine


@dataclass(frozen=True)
class ClipFile:
    """A clip and its text. Without a file, the manifest does not have what the row names."""

    file_name: str
    text: str
    path: Path | None
    duration_s: float | None = None
    """What the row says; None: what the file says."""


def add_audio_set(engine: Engine, project_id: str, name: str, clips: Sequence[ClipFile], split: str = "test") -> str:
    """The id of a new dataset whose split these clips are."""
    rows: list[dict[str, Any]] = []
    entries = []
    for number, clip in enumerate(clips, 1):
        place = f"clips/{split}/{number:06}.flac"
        row: dict[str, Any] = {"file_name": clip.file_name, "text": clip.text, "clip": place, "format": "flac"}
        if clip.path is not None:
            blob = engine.store.put(engine.sessions, clip.path)
            entries.append(Entry(place, blob))
            row |= {"sha256": blob.sha256, "bytes": blob.bytes}
            row["duration_s"] = clip.duration_s if clip.duration_s is not None else _duration_s(clip.path)
        rows.append(row)
    path = engine.folder / f"{name}-{split}.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    file = CheckedFile(split, engine.store.put(engine.sessions, path), len(rows))
    with engine.sessions.begin() as session:
        kept = datasets.keep(session, project_id, None, name, Content("audio", [file], {}, entries))
        return kept.dataset.id


def _duration_s(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        return float(stream.duration * stream.time_base)
