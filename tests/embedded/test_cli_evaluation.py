"""Models compared by the command line (R-API-4, R-VOICE-5)."""

import json
import signal
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from simorgh_shared.db.models import Project
from tests.embedded.program import Simorgh, ended
from tests.support.audio_sets import ClipFile, add_audio_set
from tests.support.engine import Engine, running_engine
from tests.support.gateway import Gateway
from tests.support.stack import Bucket, Database
from tests.support.voice import register_whisper, spoken, whisper_folder, written

TEXTS = ("Seven ships sailed south.", "A river runs to the sea.")


@pytest.fixture(scope="module")
def engine(
    gateway: Gateway, database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A voice worker beside the gateway."""
    del gateway
    with running_engine(database, redis_url, bucket, tmp_path_factory.mktemp("voice")) as made:
        made.start_dispatcher()
        # Other tests keep the processors busy: what gives way would come to nothing.
        made.start_voice("--queues", "voice.cpu", SIMORGH_VOICE_LONG_GIVES_WAY="0")
        yield made


@pytest.fixture(scope="module")
def speaker(engine: Engine, new_user: Callable[[], Simorgh]) -> Simorgh:
    """Someone with a Whisper, an audio set and rows of text."""
    made = new_user()
    with engine.sessions() as session:
        engine.project_id = session.scalars(sa.select(Project.id).order_by(Project.id.desc()).limit(1)).one()
    register_whisper(engine, whisper_folder(engine.folder), "گوش")
    clips = [
        ClipFile(f"{number}.flac", text, written(engine.folder / f"{number}.flac", spoken(text)))
        for number, text in enumerate(TEXTS)
    ]
    add_audio_set(engine, engine.project_id, "گفته‌ها", clips, split="train")
    (made.home / "qa.jsonl").write_text('{"question": "a", "answer": "b"}\n', encoding="utf-8")
    made.run("datasets", "upload", "qa.jsonl")
    return made


class TestEvaluateSpeech:
    def test_the_output_is_a_table_and_the_page_is_saved(self, speaker: Simorgh) -> None:
        """R-VOICE-5: a dataset by its name, the rates of each model, one page for a browser."""
        done = speaker.run("evaluate-speech", "گفته‌ها", "--language", "en", "-o", "گزارش.html")
        header, row, saved = done.stdout.splitlines()
        assert header.split() == ["WER", "CER", "PLAIN", "WER", "PLAIN", "CER", "CLIPS", "UNREADABLE", "RTF", "MODEL"]
        assert row.split()[4:6] == ["2", "0"]
        assert row.endswith("گوش")
        assert saved.endswith("to گزارش.html.")
        page = (speaker.home / "گزارش.html").read_text(encoding="utf-8")
        assert page.startswith("<!doctype html>")
        assert TEXTS[0] in page

    def test_one_can_be_left_alone_and_fetched_later(self, speaker: Simorgh, engine: Engine) -> None:
        """R-API-4: Ctrl-C leaves the job to itself; report and samples are got by its id."""
        process = speaker.start("evaluate-speech", "گفته‌ها", "--model", "گوش", "--limit", "1")
        assert process.stderr is not None
        job_id = process.stderr.readline().split("job ")[1].split(".")[0]
        process.send_signal(signal.SIGINT)
        code, _, err = ended(process)
        assert code in (0, 130)
        assert code == 0 or f"simorgh evaluate-speech --job {job_id}" in err
        report = speaker.ask("evaluate-speech", "--job", job_id, "-o", "همه.jsonl")
        assert (report["job_id"], report["num_rows"]) == (job_id, 1)
        lines = (speaker.home / "همه.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["reference"] for line in lines] == [TEXTS[0]]
        assert engine.job(job_id).status == "succeeded"

    def test_a_refusal_says_what_to_do(self, speaker: Simorgh) -> None:
        """R-API-4: in commands."""
        assert "simorgh datasets upload" in speaker.refuse("evaluate-speech", "qa.jsonl")
        assert "simorgh models" in speaker.refuse("evaluate-speech", "گفته‌ها", "--model", "nobody")
        assert "--job" in speaker.refuse("evaluate-speech", code=2)
        assert ".jsonl" in speaker.refuse("evaluate-speech", "گفته‌ها", "-o", "report.txt", code=2)
