"""A model folder over HTTP: kept once for each content, or refused with the reason and nothing kept (R-MODEL-1)."""

import asyncio
import fcntl
import hashlib
import json
import os
import pickle
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import sqlalchemy as sa

from simorgh_api.uploads.spool import spool_folder
from simorgh_shared.db.engine import make_engine
from tests.api.datasets.uploading import ok, refused
from tests.shared.model_folders.test_traits import VITS, WHISPER, speech_folder
from tests.support import model_files
from tests.support.gateway import Account, Gateway, running_gateway
from tests.support.model_files import base_folder, safetensors
from tests.support.stack import Database

PATH = "/api/models/upload"
LIMIT_BYTES = 3_000_000


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spool")


@pytest.fixture(scope="module")
def account(gateway: Gateway, spool: Path, sign_up: Callable[[], Account]) -> Iterator[Account]:
    """Someone at a gateway with a spool folder and a limit of its own."""
    same = {name: value for name, value in gateway.environment.items() if not name.endswith("_PORT")}
    more = same | {"SIMORGH_UPLOAD_SPOOL_DIR": str(spool), "SIMORGH_MAX_MODEL_BYTES": str(LIMIT_BYTES)}
    made = sign_up()
    with running_gateway(spool.parent, **more) as other, httpx.Client(base_url=other.url, timeout=60) as client:
        client.headers["authorization"] = made.client.headers["authorization"]
        yield Account(client, made.email, made.project_id, made.access_token, made.refresh_token)


def send(account: Account, files: Mapping[str, bytes], field: str = "files", **fields: str) -> httpx.Response:
    parts = [(field, (name, body, "application/octet-stream")) for name, body in files.items()]
    return account.client.post(PATH, files=parts, data=fields)


def listed(account: Account) -> list[dict[str, Any]]:
    return account.client.get("/api/models/list?limit=200").json()["data"]


def blobs(database: Database) -> int:
    engine = make_engine(database.owner_url)
    with engine.connect() as connection:
        count: int = connection.scalar(sa.text("SELECT count(*) FROM blobs"))
    engine.dispose()
    return count


class TestUpload:
    def test_a_folder_becomes_a_version(self, account: Account) -> None:
        """R-MODEL-1: format, kind and size are told by the content; each file by its hash."""
        files = base_folder()
        made = ok(send(account, files, name="یک مدل"))
        assert (made["created"], made["version"], made["format"], made["kind"]) == (True, 1, "safetensors", "base")
        assert made["num_parameters"] == 32
        assert {file["path"]: file["sha256"] for file in made["files"]} == {
            name: hashlib.sha256(body).hexdigest() for name, body in files.items()
        }
        assert (
            made["lineage"]["uploaded"]["files"]["model.safetensors"]
            == hashlib.sha256(files["model.safetensors"]).hexdigest()
        )

    def test_the_same_files_under_the_same_name_are_the_version_that_is_there(self, account: Account) -> None:
        """R-MODEL-1: uploading again makes nothing, another content makes the next version."""
        first = ok(send(account, base_folder(), name="again"))
        second = ok(send(account, base_folder(), name="again"))
        assert (second["created"], second["version_id"]) == (False, first["version_id"])
        third = ok(send(account, base_folder(model__safetensors=safetensors(fill=9)), name="again"))
        assert (third["created"], third["version"], third["model_id"]) == (True, 2, first["model_id"])

    def test_the_same_content_is_stored_once(self, account: Account, database: Database) -> None:
        """R-MODEL-1: another name for it costs no bytes."""
        ok(send(account, base_folder(), name="once"))
        before = blobs(database)
        assert ok(send(account, base_folder(), name="once more"))["created"] is True
        assert blobs(database) == before

    @pytest.mark.parametrize("top", ["", "smol/"])
    @pytest.mark.parametrize("pack", [model_files.tar, model_files.zipped], ids=["tar.gz", "zip"])
    def test_an_archive_is_the_folder_in_it(
        self, account: Account, top: str, pack: Callable[[Mapping[str, bytes]], bytes]
    ) -> None:
        """R-MODEL-1: with or without the folder's own name, which is the model's then."""
        inside = {f"{top}{name}": body for name, body in base_folder().items()}
        made = ok(send(account, {"packed.zip": pack(inside)}, field="archive"))
        assert made["name"] == (top.rstrip("/") or "packed")
        assert {file["path"] for file in made["files"]} == set(base_folder())

    def test_traces_of_tools_are_left_out_and_named(self, account: Account) -> None:
        """R-MODEL-1: nothing is dropped silently."""
        files = base_folder() | {".gitattributes": b"*.bin lfs", ".cache/huggingface/x.metadata": b"1"}
        made = ok(send(account, files, name="traces"))
        assert sorted(made["left_out"]) == [".cache/huggingface/x.metadata", ".gitattributes"]

    def test_the_client_says_what_content_cannot_tell(self, account: Account) -> None:
        """R-MODEL-1: kind is the client's where the content leaves a choice, and no other."""
        assert ok(send(account, base_folder(), name="tuned", kind="tuned"))["kind"] == "tuned"
        says = refused(send(account, base_folder(), name="tuned", kind="adapter"))
        assert says == "The model is of kind base by its content, and cannot be adapter. Leave kind out."

    def test_a_speech_model_shows_what_it_can_do(self, account: Account) -> None:
        """R-VOICE-6: a voice, a Whisper that transcribes and one that can be converted."""
        voice = speech_folder(VITS, {"language": "fas"})
        made = ok(send(account, voice, name="voice"))
        assert (made["kind"], made["traits"]) == (
            "speech",
            {"architecture": "vits", "can": ["speech"], "languages": ["fa"]},
        )
        named = ok(send(account, speech_folder(VITS), name="mms-tts-eng"))
        assert named["traits"]["languages"] == ["en"]
        whisper = {"model.bin": model_files.ctranslate2("WhisperSpec"), "vocabulary.txt": b"w\n" * 51_865}
        assert ok(send(account, whisper, name="ears"))["traits"]["can"] == ["transcription", "translation"]
        plain = ok(send(account, speech_folder(WHISPER | {"vocab_size": 51_865}), name="plain"))
        assert plain["traits"]["can"] == ["conversion"]
        shown = {one["name"]: one["versions"][0]["traits"] for one in listed(account)}
        assert shown["plain"] == plain["traits"]

    def test_it_is_found_by_name_and_by_version(self, account: Account) -> None:
        """R-MODEL-1: whatever id somebody has at hand."""
        made = ok(send(account, base_folder(), name="found me"))
        for known_as in (made["id"], made["version_id"], "found me"):
            assert ok(account.client.get(f"/api/models/{known_as}"))["id"] == made["id"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("files", "says"),
        [
            (
                base_folder(model__safetensors=None) | {"pytorch_model.bin": pickle.dumps({"a": [1.0]})},
                "pytorch_model.bin is a pickle, which can run code when it is loaded. Convert the weights",
            ),
            (base_folder() | {"modeling.py": b"import os"}, "modeling.py is program code"),
            (
                base_folder(config__json=json.dumps(model_files.CONFIG | {"auto_map": {"AutoModel": "m.M"}}).encode()),
                "config.json names code of its own (auto_map)",
            ),
            (base_folder(model__safetensors=safetensors()[:-3]), "model.safetensors is no usable safetensors file"),
            (base_folder() | {"extra.bin": bytes(range(256))}, "extra.bin is of no kind that is known here"),
            (base_folder(config__json=None), "config.json is missing"),
            (
                base_folder(model__safetensors=None) | {"pytorch_model.bin": pickle.dumps(list, protocol=0)},
                "pytorch_model.bin is a pickle in text",
            ),
            ({"README.md": b"hello"}, "it holds no weights"),
            ({"../../etc/passwd": b"x"}, "../../etc/passwd cannot be a file of a model: it leads out of the folder"),
            ({"/etc/passwd": b"x"}, "it leads out of the folder"),
        ],
    )
    def test_the_file_the_reason_and_what_to_do(
        self, account: Account, spool: Path, database: Database, files: Mapping[str, bytes], says: str
    ) -> None:
        """R-MODEL-1: a folder that cannot be kept leaves nothing behind, neither on disk nor in storage."""
        before = blobs(database), len(listed(account))
        assert says in refused(send(account, files, name="bad"))
        assert (blobs(database), len(listed(account))) == before
        assert list(spool.iterdir()) == []

    def test_the_limit_holds_for_all_files_together(self, account: Account) -> None:
        """R-MODEL-1: what is too large is told while it comes."""
        half = b"x" * (LIMIT_BYTES // 2 + 1)
        says = refused(send(account, {"a.txt": half, "b.txt": half}, name="large"), 413)
        assert f"limit of {LIMIT_BYTES} bytes" in says

    @pytest.mark.parametrize("name", ["a@b", "simorgh-2m", "x\x01y", "ن" * 256])
    def test_a_name_that_would_be_read_as_something_else(self, account: Account, name: str) -> None:
        """R-MODEL-1: a name is data."""
        assert "name is" in refused(send(account, base_folder(), name=name))

    def test_two_at_once_under_one_name_make_one_version(self, account: Account) -> None:
        """R-MODEL-1: who comes second finds what the first has made."""
        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(lambda _: ok(send(account, base_folder(), name="twins")), range(2)))
        assert sorted(answer["created"] for answer in answers) == [False, True]
        assert len({answer["version_id"] for answer in answers}) == 1


class TestMemory:
    def test_a_large_model_goes_through_the_disk(self, gateway: Gateway, account: Account, tmp_path: Path) -> None:
        """R-MODEL-1: 200 MB take the gateway no memory to speak of, and nothing stays on its disk."""
        spool = tmp_path / "spool"
        same = {name: value for name, value in gateway.environment.items() if not name.endswith("_PORT")}
        large = tmp_path / "model.safetensors"
        with large.open("wb") as file:
            head = safetensors({"weight": [50_000_000]}, fill=0)[:200]
            file.write(head[: 8 + int.from_bytes(head[:8], "little")])
            file.truncate(file.tell() + 200_000_000)
        with (
            running_gateway(tmp_path, **(same | {"SIMORGH_UPLOAD_SPOOL_DIR": str(spool)})) as roomy,
            httpx.Client(base_url=roomy.url, headers=dict(account.client.headers), timeout=120) as client,
            large.open("rb") as file,
        ):
            process = psutil.Process(roomy.pid)
            client.get("/api/models/list")
            before, highest, ended = process.memory_info().rss, 0, threading.Event()

            def watch() -> None:
                nonlocal highest
                while not ended.wait(0.01):
                    highest = max(highest, process.memory_info().rss)

            watcher = threading.Thread(target=watch)
            watcher.start()
            small = base_folder(model__safetensors=None)
            files = [("files", (name, body)) for name, body in small.items()]
            answer = client.post(PATH, files=[*files, ("files", (large.name, file))], data={"name": "large"})
            ended.set()
            watcher.join()
            assert ok(answer)["num_parameters"] == 50_000_000
            assert highest - before < 64 << 20
        assert list(spool.iterdir()) == []


class TestSpool:
    def test_what_a_killed_gateway_left_goes_and_what_is_in_use_stays(self, tmp_path: Path) -> None:
        """R-MODEL-1: nothing half-done stays."""
        abandoned, used = tmp_path / "simorgh-model-abandoned", tmp_path / "simorgh-model-used"
        for folder in (abandoned, used):
            (folder / "sent").mkdir(parents=True)
            os.utime(folder, (0, 0))
        lock = os.open(used, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)

        async def look() -> list[str]:
            async with spool_folder(tmp_path) as own:
                return sorted({*os.listdir(tmp_path)} - {own.name})

        assert asyncio.run(look()) == [used.name]
        os.close(lock)
        assert [path.name for path in tmp_path.iterdir()] == [used.name]
