"""Audio sets: clips and their texts as an archive or Parquet, taken in by a job (R-DATA-1, R-DATA-2)."""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simorgh_shared.audio.clips import read_clip
from tests.api.datasets.sending import begin, complete, failed, send, sent, succeeded
from tests.api.datasets.sounds import encoded, metadata, tarred, wav, zipped
from tests.api.datasets.uploading import ok, refused, upload
from tests.support.engine import Engine
from tests.support.gateway import Account

CLIP, OTHER = wav(), wav(0.25, 8_000, 2, pitch=11)
FILES = {
    "set/clips/a.wav": CLIP,
    "set/clips/b.wav": OTHER,
    "set/metadata.jsonl": metadata(
        {"file_name": "clips/a.wav", "text": "سلام", "speaker": 1}, {"file_name": "./clips/b.wav", "text": "درود"}
    ),
    "__MACOSX/set/._a.wav": b"x",
    "set/readme.txt": b"x",
}


@pytest.fixture(scope="module")
def someone(engine: Engine, sign_up: Callable[[], Account]) -> httpx.Client:
    """Someone whose jobs are done."""
    del engine
    return sign_up().client


def samples(client: httpx.Client, dataset_id: str) -> Any:
    return ok(client.get(f"/api/datasets/preview/{dataset_id}"))["samples"]


def refusal(client: httpx.Client, data: bytes, name: str = "set.zip", **options: Any) -> Any:
    return failed(client, sent(client, data, name, **options))


class TestAudioSets:
    @pytest.mark.parametrize(
        ("name", "data"),
        [("set.zip", zipped(FILES)), ("set.tar", tarred(FILES)), ("set.tar.gz", tarred(FILES, "w:gz"))],
    )
    def test_an_archive_becomes_rows_and_clips(self, someone: httpx.Client, name: str, data: bytes) -> None:
        """R-DATA-2: what a clip is, is told by the clip; it comes down as it was sent."""
        result = succeeded(someone, sent(someone, data, name))
        dataset = ok(someone.get(f"/api/datasets/{result['dataset_id']}"))
        assert (dataset["row_schema"], dataset["rows"]) == ("audio", 2)
        (split,) = dataset["splits"]
        assert (split["clips"], split["duration_s"]) == (2, 0.75)
        assert dataset["bytes"] == split["bytes"] + len(CLIP) + len(OTHER)
        first, second = samples(someone, dataset["id"])
        assert first == {
            "file_name": "clips/a.wav",
            "text": "سلام",
            "clip": "clips/train/000001.wav",
            "sha256": hashlib.sha256(CLIP).hexdigest(),
            "bytes": len(CLIP),
            "format": "wav",
            "sample_rate": 16_000,
            "channels": 1,
            "duration_s": 0.5,
        }
        assert (second["sample_rate"], second["channels"], second["duration_s"]) == (8_000, 2, 0.25)
        answer = someone.get(f"/api/datasets/{dataset['id']}/{first['clip']}")
        assert (answer.content, answer.headers["content-type"]) == (CLIP, "audio/wav")
        rows = someone.get(f"/api/datasets/{dataset['id']}/download").content
        assert hashlib.sha256(rows).hexdigest() == dataset["sha256"]

    def test_in_one_request_and_again(self, someone: httpx.Client) -> None:
        """R-DATA-1, R-DATA-7: 202 with the job; the same content is the same dataset."""
        data = zipped({"metadata.jsonl": metadata({"file_name": "a.wav", "text": "یک"}), "a.wav": CLIP})
        answers = [upload(someone, {"dataset": ("small.zip", data)}) for _ in range(2)]
        both = [succeeded(someone, answer.json()["data"]["id"]) for answer in answers]
        assert sorted(one["created"] for one in both) == [False, True], "whichever was done first has made it"
        assert both[0]["dataset_id"] == both[1]["dataset_id"]

    def test_held_out_clips_and_columns(self, someone: httpx.Client) -> None:
        """R-DATA-2, R-DATA-6: each split has its own clips; one clip may have several texts."""
        told = [{"path": "a.wav", "sentence": "یک"}, {"path": "a.wav", "sentence": "دو"}]
        train_data = zipped({"metadata.jsonl": metadata(*told), "a.wav": CLIP})
        test_data = zipped({"metadata.jsonl": metadata({"path": "b.wav", "sentence": "سه"}), "b.wav": OTHER})
        columns = {"file_name": "path", "text": "sentence"}
        train = begin(someone, train_data, "train.zip", row_schema="audio", columns=columns)
        test = begin(someone, test_data, "test.zip")
        send(train_data, train["urls"])
        send(test_data, test["urls"])
        result = succeeded(someone, complete(someone, train["id"], test_upload_id=test["id"]))
        clips = [row["clip"] for row in samples(someone, result["dataset_id"])]
        assert clips == ["clips/train/000001.wav"] * 2 + ["clips/test/000001.wav"]

    def test_parquet_as_the_hugging_face_libraries_write_it(self, someone: httpx.Client) -> None:
        """R-DATA-2: a struct of bytes and path; `Row N` where one is bad."""
        clips = [{"bytes": CLIP, "path": "/home/x/a.wav"}, {"bytes": OTHER, "path": None}]
        data = parquet(audio=clips, sentence=["یک", "دو"])
        result = succeeded(someone, sent(someone, data, "a.parquet", columns={"text": "sentence"}))
        names = [(row["file_name"], row["text"]) for row in samples(someone, result["dataset_id"])]
        assert names == [("a.wav", "یک"), ("row 2", "دو")]
        bad = [{"bytes": b"no sound", "path": "a.wav"}, {"bytes": None, "path": "b.wav"}, {"bytes": CLIP, "path": "c"}]
        error = refusal(someone, parquet(audio=bad, text=["یک", "دو", ""]), "a.parquet")
        assert error["errors"] == [
            "Row 1: the clip a.wav cannot be used: invalid data found when processing input.",
            "Row 2: the clip b.wav is not there.",
            "Row 3: the field text is empty.",
        ]
        error = refusal(someone, parquet(audio=clips, words=["یک", "دو"]), "a.parquet")
        assert error["code"] == "dataset_unknown_schema"

    @pytest.mark.parametrize(
        ("container", "codec", "kind"),
        [
            ("flac", "flac", "flac"),
            ("mp3", "mp3", "mp3"),
            ("ogg", "libopus", "ogg"),
            ("mp4", "aac", "m4a"),
            ("adts", "aac", "aac"),
            ("webm", "libopus", "webm"),
        ],
    )
    def test_formats(self, tmp_path: Path, container: str, codec: str, kind: str) -> None:
        """R-DATA-2: told by content."""
        path = tmp_path / "clip"
        path.write_bytes(encoded(tmp_path, container, codec))
        clip = read_clip(path)
        assert (clip.format, clip.sample_rate, clip.channels) == (kind, 48_000, 1)
        assert clip.duration_s == pytest.approx(1.0, abs=0.1)

    def test_training_refuses_them_with_the_reason(self, someone: httpx.Client) -> None:
        """R-TRAIN-2."""
        data = zipped({"metadata.jsonl": metadata({"file_name": "a.wav", "text": "یک"}), "a.wav": CLIP})
        result = succeeded(someone, sent(someone, data, "t.zip"))
        answer = someone.post("/api/train/start", json={"datasetId": result["dataset_id"], "method": "pretrain"})
        assert "the rows are clips of speech" in refused(answer)
        assert "nothing else" in refused(
            someone.post(f"/api/datasets/{result['dataset_id']}/convert", json={"to": "text"})
        )


class TestRefusals:
    def test_bad_lines_are_told_by_line_and_clip(self, someone: httpx.Client) -> None:
        """R-DATA-3: or left out."""
        rows = [
            {"file_name": "a.wav", "text": "یک"},
            {"file_name": "gone.wav", "text": "دو"},
            {"file_name": "noise.wav", "text": "سه"},
            {"file_name": "a.wav"},
            {"file_name": "a.wav", "text": " "},
            {"file_name": "../../etc/passwd", "text": "شش"},
        ]
        data = zipped({"metadata.jsonl": metadata(*rows) + b"{oops\n", "a.wav": CLIP, "noise.wav": b"RIFF" + bytes(99)})
        error = refusal(someone, data)
        assert error["message"].startswith("6 of 7 rows cannot be used")
        told = error["errors"]
        assert told[0] == "Line 2: the clip gone.wav is not there."
        assert told[1].startswith("Line 3: the clip noise.wav cannot be used: ")
        assert told[2:5] == [
            "Line 4: the field text is missing.",
            "Line 5: the field text is empty.",
            "Line 6: the clip ../../etc/passwd is not there.",
        ]
        assert told[5].startswith("Line 7: this is not one JSON object")
        result = succeeded(someone, sent(someone, data, "set.zip", on_error="skip"))
        assert (result["rows"], result["error_count"]) == (1, 6)

    def test_names_are_data_never_paths(self, someone: httpx.Client) -> None:
        """R-DATA-4: a name that leads out is a name as any other."""
        evil = "../../../../tmp/simorgh-evil.wav"
        data = tarred({evil: CLIP, "metadata.jsonl": metadata({"file_name": evil, "text": "یک"})})
        result = succeeded(someone, sent(someone, data, "set.tar"))
        (row,) = samples(someone, result["dataset_id"])
        assert (row["file_name"], row["clip"]) == (evil, "clips/train/000001.wav")
        assert not Path("/tmp/simorgh-evil.wav").exists()
        answer = someone.get(f"/api/datasets/{result['dataset_id']}/clips/..%2Ftrain.jsonl")
        assert "has no clip" in refused(answer, 404)

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
    def test_links_and_devices_are_refused(self, someone: httpx.Client, kind: bytes) -> None:
        """R-DATA-2."""
        member = tarfile.TarInfo("a.wav")
        member.type, member.linkname = kind, "/etc/passwd"
        data = tarred({"a.wav": member, "metadata.jsonl": metadata({"file_name": "a.wav", "text": "یک"})})
        assert "a.wav is a link or a device" in refusal(someone, data, "set.tar")["message"]

    def test_a_link_in_a_zip_is_refused(self, someone: httpx.Client) -> None:
        """R-DATA-2."""
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            link = zipfile.ZipInfo("a.wav")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
        assert "a.wav is a link or a device" in refusal(someone, sink.getvalue())["message"]

    @pytest.mark.parametrize("pack", [zipped, lambda files: tarred(files, "w:gz")], ids=["zip", "tar.gz"])
    def test_a_bomb_is_refused(self, someone: httpx.Client, pack: Callable[[Any], bytes]) -> None:
        """R-DATA-2: what grows a hundredfold was made to."""
        data = pack({"a.wav": bytes(200 << 20), "metadata.jsonl": metadata({"file_name": "a.wav", "text": "یک"})})
        name = "set.zip" if data.startswith(b"PK") else "set.tgz"
        assert "it grows to more than 100 times its size" in refusal(someone, data, name)["message"]

    @pytest.mark.parametrize(
        ("data", "name", "told"),
        [
            (b"no archive", "set.zip", "not a usable .zip archive"),
            (b"no archive" * 100, "set.tar", "not a usable .tar archive"),
            (tarred(FILES, "w:gz")[:200], "set.tar.gz", "not a usable .tar archive"),
            (zipped({"a.wav": CLIP}), "set.zip", "it holds no metadata.jsonl"),
            (zipped({"a/metadata.jsonl": b"", "b/metadata.jsonl": b""}), "set.zip", "2 files in it are called"),
            (zipped({"metadata.jsonl": b"\n"}), "set.zip", "The file holds no rows"),
            (tarred({"a": b"1", "./a": b"2"}), "set.tar", "a stands in it twice"),
        ],
    )
    def test_what_is_no_set_says_why(self, someone: httpx.Client, data: bytes, name: str, told: str) -> None:
        """R-DATA-1."""
        assert told in refusal(someone, data, name)["message"]

    def test_other_rows_are_not_in_archives(self, someone: httpx.Client) -> None:
        """R-DATA-2."""
        error = refusal(someone, zipped(FILES), row_schema="qa")
        assert "an archive holds rows of kind audio" in error["message"]
        error = refusal(someone, b'{"file_name": "a", "text": "b"}\n', "a.jsonl", row_schema="audio")
        assert "audio rows need their clips" in error["message"]


class TestClips:
    @pytest.mark.parametrize(
        "data",
        [
            b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\nfile:///etc/hostname\n",
            b"ffconcat version 1.0\nfile '/etc/hostname'\n",
            b"",
        ],
        ids=["playlist", "concat", "empty"],
    )
    def test_what_names_other_files_is_no_clip(self, tmp_path: Path, data: bytes) -> None:
        """R-DATA-2: a decoder opens nothing but the clip."""
        path = tmp_path / "clip"
        path.write_bytes(data)
        with pytest.raises(ValueError, match="in"):
            read_clip(path)


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()
