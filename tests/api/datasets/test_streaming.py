"""Uploads as they come: limits, refusals that are read, clients that leave, memory (R-DATA-1, architecture 6)."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import urllib3

from tests.api.datasets.conftest import ROOMY_BYTES, RoomyGateway
from tests.api.datasets.uploading import (
    BOUNDARY,
    PATH,
    ROW,
    begun,
    form,
    ok,
    part,
    refused,
    row,
    send,
    upload,
    wait_until,
)
from tests.support.gateway import Gateway

LIMIT = 100_000  # that of the `gateway` fixture
FILE_HEAD = part("dataset", b"", "a.jsonl")[:-2]
FORM_TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


def text_of(num_bytes: int) -> bytes:
    """Rows of text, exactly so long."""
    line = b'{"text": "' + b"x" * 989 + b'"}\n'
    num_lines = num_bytes // len(line) - 1
    rest = num_bytes - num_lines * len(line) - len(b'{"text": ""}\n')
    return line * num_lines + b'{"text": "' + b"y" * rest + b'"}\n'


def checks_of(pid: int) -> list[psutil.Process]:
    """The children of a gateway that check a file; one that waits for the next has none open."""
    return [child for child in psutil.Process(pid).children() if _has_file(child)]


def _has_file(child: psutil.Process) -> bool:
    try:
        # By name: where lines are counted, each process keeps files of its own open (docs/adr/0005).
        return any("simorgh-upload-" in file.path for file in child.open_files())
    except psutil.NoSuchProcess:  # a zombie too
        return False


def only_one_waits(pid: int) -> bool:
    """Whether no child is left but the one that waits for the next file, nor a zombie."""
    children = psutil.Process(pid).children()
    try:
        return len(children) <= 1 and not checks_of(pid) and not any(map(_is_zombie, children))
    except psutil.NoSuchProcess:  # it went meanwhile
        return False


def _is_zombie(child: psutil.Process) -> bool:
    return bool(child.status() == psutil.STATUS_ZOMBIE)


class TestLimit:
    """R-DATA-1: enforced while streaming."""

    @pytest.mark.parametrize("is_chunked", [False, True])
    def test_a_file_of_the_limit_passes_and_one_byte_more_does_not(
        self, client: httpx.Client, is_chunked: bool
    ) -> None:
        """R-DATA-1: with and without a content-length."""
        for num_bytes, passes in ((LIMIT, True), (LIMIT + 1, False)):
            body = form(part("dataset", text_of(num_bytes), "limit.jsonl"))
            answer = send(client, iter([body[:50_000], body[50_000:]]) if is_chunked else body)
            if passes:
                assert ok(answer)["bytes"] == LIMIT
            else:
                assert f"The file is larger than the limit of {LIMIT} bytes" in refused(answer, 413)

    def test_each_split_has_the_limit_of_its_own(self, client: httpx.Client) -> None:
        """R-DATA-1."""
        files = {"dataset": ("a.jsonl", text_of(LIMIT)), "test": ("b.jsonl", text_of(LIMIT))}
        assert ok(upload(client, files))["bytes"] == 2 * LIMIT
        files["test"] = ("b.jsonl", text_of(LIMIT + 1))
        refused(upload(client, files), 413)

    def test_what_stands_around_the_parts_counts_too(self, client: httpx.Client) -> None:
        """R-DATA-1: an endless epilogue is no way around the limit."""
        body = iter([form(part("dataset", ROW, "a.jsonl")), *[b"x" * 100_000] * 20])
        assert "The request has more than 1248576 bytes" in refused(send(client, body), 413)

    def test_a_length_far_beyond_it_is_refused_before_a_byte_has_come(self, client: httpx.Client) -> None:
        """R-DATA-1."""
        with begun(client, 10**12) as conversation:
            assert f"larger than the limit of {LIMIT} bytes" in refused(conversation.answer(), 413)

    def test_a_refused_type_is_told_before_the_file_has_come(self, client: httpx.Client) -> None:
        """R-DATA-1: nobody sends 100 MB to learn that."""
        with begun(client, 10**5) as conversation:
            conversation.send(part("dataset", b"\x89PNG", "a.png"))
            assert "Files of type .png are not taken" in refused(conversation.answer(), 415)


class TestRefusalsAreRead:
    """R-DATA-1: clients that read only when they have sent everything get the sentence, not a reset connection."""

    @pytest.fixture
    def large(self, tmp_path: Path) -> Path:
        file = tmp_path / "large.jsonl"
        file.write_bytes(ROW * 100_000)
        return file

    def test_by_httpx(self, client: httpx.Client, large: Path) -> None:
        """R-DATA-1."""
        for _ in range(3):
            with large.open("rb") as file:
                answer = client.post(PATH, files={"dataset": ("a.jsonl", file)})
            assert f"larger than the limit of {LIMIT} bytes" in refused(answer, 413)

    def test_by_urllib3(self, client: httpx.Client) -> None:
        """R-DATA-1: what `requests` stands on."""
        fields = {"dataset": ("a.csvx", b"x" * 1_000_000)}
        with urllib3.PoolManager() as pool:
            headers = {"authorization": client.headers["authorization"]}
            answer = pool.request(
                "POST", str(client.base_url.join(PATH)), fields=fields, headers=headers, retries=False
            )
        assert answer.status == 415
        assert "Files of type .csvx are not taken" in json.loads(answer.data)["error"]

    @pytest.mark.parametrize("words", [[], ["-H", "expect:"]], ids=["waits for 100-continue", "sends at once"])
    def test_by_curl(self, client: httpx.Client, large: Path, words: list[str]) -> None:
        """R-DATA-1."""
        curl = shutil.which("curl")
        if curl is None:
            pytest.skip("there is no curl on this machine")
        words = [*words, "-H", f"authorization: {client.headers['authorization']}", "-F", f"dataset=@{large}"]
        told = subprocess.run([curl, "-sS", *words, str(client.base_url.join(PATH))], capture_output=True, timeout=20)
        assert told.returncode == 0, told.stderr
        assert json.loads(told.stdout)["code"] == "upload_too_large"

    def test_the_connection_is_closed_then(self, client: httpx.Client) -> None:
        """R-DATA-1: what still comes is no next request."""
        with begun(client, 10**5) as conversation:
            conversation.send(part("evil", b"x", "a.jsonl"))
            answer = conversation.answer()
        assert "Unknown parameter evil" in refused(answer)
        assert answer.headers["connection"] == "close"

    def test_a_form_that_came_whole_keeps_the_connection(self, client: httpx.Client) -> None:
        """R-DATA-1."""
        answer = upload(client, {"dataset": ("a.jsonl", b"{oops\n")})
        refused(answer)
        assert "connection" not in answer.headers


class TestLyingLength:
    """R-DATA-1, reliability.md: 4xx, and nothing is kept."""

    def test_a_length_that_is_too_small_cuts_the_form_off(self, client: httpx.Client) -> None:
        """R-DATA-1."""
        body = form(part("name", b"liar"), part("dataset", ROW, "a.jsonl"))
        with begun(client, len(body) - 30) as conversation:
            conversation.send(body)
            assert "the body ends inside it" in refused(conversation.answer())
        assert "liar" not in client.get("/api/datasets/list?limit=200").text

    def test_a_length_that_is_too_large_keeps_nothing(self, roomy: RoomyGateway) -> None:
        """R-DATA-1: the form is whole, the body is not."""
        body = form(part("name", b"liar"), part("dataset", ROW, "a.jsonl"))
        with begun(roomy.client, len(body) + 30, **{"x-request-id": "liar"}) as conversation:
            conversation.send(body)
        wait_until(lambda: '"liar"' in roomy.log.read_text(), "the request has ended")
        assert "liar" not in roomy.client.get("/api/datasets/list?limit=200").text


class TestClientThatLeaves:
    """R-DATA-1: nothing is kept of an upload cut off, and it is not logged as a crash."""

    @pytest.mark.parametrize(
        "beginning",
        [FILE_HEAD + ROW * 50_000, FILE_HEAD + ROW + b"\r\n" + part("test", ROW, "b.jsonl"), FILE_HEAD[:40], b""],
        ids=["in the file", "in the second file", "in a header", "before the first byte"],
    )
    def test_its_children_and_files_go(
        self, roomy: RoomyGateway, beginning: bytes, request: pytest.FixtureRequest
    ) -> None:
        """R-DATA-1."""
        name = f"leaver-{len(beginning)}"
        with begun(roomy.client, 10**7, **{"x-request-id": name}) as conversation:
            conversation.send(beginning)
            if beginning.startswith(FILE_HEAD):
                wait_until(lambda: checks_of(roomy.pid), "the check has begun")
        wait_until(lambda: events_of(roomy, name), "the request has ended")
        wait_until(lambda: only_one_waits(roomy.pid), "no child is left, nor a zombie of it")
        assert list(roomy.temporary.iterdir()) == []
        assert events_of(roomy, name) == ["request"]

    def test_a_child_that_dies_is_told_at_once(self, roomy: RoomyGateway) -> None:
        """R-DATA-1: no upload goes on into nothing."""
        with begun(roomy.client, 10**8, **{"x-request-id": "bereft"}) as conversation:
            conversation.send(FILE_HEAD + ROW)
            wait_until(lambda: checks_of(roomy.pid), "the check has begun")
            checks_of(roomy.pid)[0].kill()
            wait_until(lambda: only_one_waits(roomy.pid), "it is gone")
            conversation.send(ROW * 50_000)
            sentence = refused(conversation.answer())
        assert sentence == "The file could not be checked: the checking process ended with code -9. Nothing was kept."
        assert events_of(roomy, "bereft") == ["upload_check_died", "request"]
        assert list(roomy.temporary.iterdir()) == []


def events_of(roomy: RoomyGateway, request_id: str) -> list[str]:
    """What the gateway has logged of a request."""
    lines = [line for line in roomy.log.read_text().splitlines() if f'"{request_id}"' in line]
    return [json.loads(line)["event"] for line in lines]


class TestMemory:
    """R-DATA-1: constant memory, in the gateway and in its child."""

    @pytest.fixture
    def growth_bytes(self, roomy: RoomyGateway) -> Iterator[list[int]]:
        """Grows by what the gateway grows beyond a first upload."""
        ok(upload(roomy.client, {"dataset": ("warm.jsonl", row("first"))}))
        process, ended, grown = psutil.Process(roomy.pid), threading.Event(), [0]
        before = process.memory_info().rss

        def watch() -> None:
            while not ended.wait(0.005):
                grown[0] = max(grown[0], process.memory_info().rss - before)

        watcher = threading.Thread(target=watch)
        watcher.start()
        yield grown
        ended.set()
        watcher.join()

    def test_an_upload_of_90_megabytes(self, roomy: RoomyGateway, growth_bytes: list[int], tmp_path: Path) -> None:
        """R-DATA-1, R-DATA-4: the gateway grows by less than 16 MB; the download is what was sent."""
        file = tmp_path / "large.jsonl"
        line = row("پرسشی که کمی درازتر است", "پاسخی که باز هم درازتر است")
        file.write_bytes(line * (90_000_000 // len(line)))
        with file.open("rb") as opened:
            data = ok(roomy.client.post(PATH, files={"dataset": ("large.jsonl", opened)}))
        assert data["bytes"] == file.stat().st_size
        deep = roomy.client.get(f"/api/datasets/preview/{data['id']}?offset={data['rows'] - 1}").json()["data"]
        assert deep["samples"] == [json.loads(line)]
        assert growth_bytes[0] < 16e6, f"{growth_bytes[0] / 1e6:.1f} MB"

    @pytest.mark.parametrize(
        ("name", "start"), [("a.jsonl", b'{"text": "'), ("a.json", b'[{"text": "'), ("a.csv", b'text\n"')]
    )
    def test_one_cell_of_90_megabytes(
        self, roomy: RoomyGateway, growth_bytes: list[int], name: str, start: bytes
    ) -> None:
        """R-DATA-1, reliability.md: refused, and nobody held it."""
        cell = (b"x" * 1_000_000 for _ in range(ROOMY_BYTES // 1_000_000 - 1))
        head = part("row_schema", b"text") + part("dataset", start, name)[:-2]
        answer = send(roomy.client, (piece for pieces in ([head], cell, [FORM_TAIL]) for piece in pieces))
        assert "longer than 4194304 bytes" in refused(answer) + "".join(answer.json()["errors"])
        assert growth_bytes[0] < 16e6, f"{growth_bytes[0] / 1e6:.1f} MB"

    @pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
    def test_json_nested_100000_deep(self, client: httpx.Client, name: str) -> None:
        """R-DATA-3, reliability.md."""
        deep = b'{"text": "a", "x": ' + b"[" * 49_000 + b"]" * 49_000 + b"}"
        body = deep if name == "a.jsonl" else b"[" + deep + b"]"
        answer = upload(client, {"dataset": (name, b'{"text": "a"}\n' + body if name == "a.jsonl" else body)})
        refused(answer)
        assert "nested too deep" in answer.text or "nothing at its start is a JSON object" in answer.text


class TestConfinement:
    def test_the_child_sees_no_secret(self, roomy: RoomyGateway, gateway: Gateway) -> None:
        """Architecture 8: it is given no more than it needs."""
        with begun(roomy.client, 10**6) as conversation:
            conversation.send(FILE_HEAD + ROW)
            wait_until(lambda: checks_of(roomy.pid), "the check has begun")
            child = checks_of(roomy.pid)[0]
            wait_until(lambda: "simorgh_shared.datasets.check" in child.cmdline(), "it is the check")
            seen = child.environ()
        assert {"PATH", "TMPDIR"} <= seen.keys()
        assert not [name for name in seen if name.startswith("SIMORGH_")]
        secrets = {value for name, value in gateway.environment.items() if "KEY" in name or "URL" in name}
        assert not secrets & set(seen.values())
