"""The voice worker converts a Whisper of the registry, and what comes out transcribes (R-VOICE-6)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simorgh_shared.db.models import ModelVersion
from simorgh_shared.db.repositories import models
from simorgh_shared.db.repositories.models import NewModel
from simorgh_shared.domain.jobs import JobType, Queue
from simorgh_shared.storage import manifests
from simorgh_shared.storage.manifests import Entry
from tests.support.engine import Engine, running_engine
from tests.support.stack import Bucket, Database
from tests.support.whispers import make_whisper_folder


@pytest.fixture(scope="module")
def engine(
    database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    with running_engine(database, redis_url, bucket, tmp_path_factory.mktemp("convert")) as made:
        made.start_dispatcher()
        made.start_voice("--queues", "voice.cpu")
        yield made


def register(engine: Engine, folder: Path, name: str) -> str:
    """The version of a folder in the registry."""
    paths = sorted(folder.iterdir())
    entries = [Entry(path.name, engine.store.put(engine.sessions, path)) for path in paths]
    traits = {"architecture": "whisper", "can": ["conversion"], "languages": []}
    with engine.sessions.begin() as session:
        new = NewModel(name, "speech", "safetensors", entries, {}, {}, None, traits)
        return models.register(session, engine.project_id, new).model_version_id


def convert(engine: Engine, version_id: str, quantisation: str) -> str:
    spec = {"base_version_id": version_id, "to": "ctranslate2", "quantisation": quantisation, "name": ""}
    return engine.submit(JobType.CONVERT_MODEL, Queue.VOICE_CPU, spec)


class TestConversion:
    def test_it_becomes_a_model_with_its_base(self, engine: Engine, tmp_path: Path) -> None:
        """R-VOICE-6: with lineage, traits, how alike both are, and the files that the engine reads."""
        version_id = register(engine, make_whisper_folder(tmp_path / "whisper"), "tiny")
        job = engine.wait_status(convert(engine, version_id, "int8"), "succeeded", "failed", within_s=120)
        assert job.status == "succeeded", job.error
        assert job.result is not None
        assert job.result["model_name"] == "tiny-int8"
        with engine.sessions() as session:
            made = session.get_one(ModelVersion, job.result["model_version_id"])
            names = {entry.path for entry in manifests.entries(session, made.manifest_id)}
        assert (made.kind, made.format) == ("speech", "ctranslate2")
        assert made.traits["can"] == ["transcription", "translation"]
        assert made.lineage["base_version_id"] == version_id
        assert made.metrics["likeness"]["encoder_deviation"] < 0.15
        assert names >= {"model.bin", "tokenizer.json", "vocabulary.json"}

    def test_what_cannot_be_converted_says_why(self, engine: Engine, tmp_path: Path) -> None:
        """R-VOICE-6: the job fails with a sentence for its owner."""
        folder = make_whisper_folder(tmp_path / "broken")
        (folder / "config.json").write_text('{"model_type": "vits"}')
        version_id = register(engine, folder, "broken")
        job = engine.wait_status(convert(engine, version_id, "int8"), "succeeded", "failed", within_s=120)
        assert job.status == "failed"
        assert job.error is not None
        assert job.error["code"] == "model_not_convertible"
