"""Datasets by the command line: up, looked at, down and away."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from simorgh_cli.terminal.text import cut, printable, table, width
from tests.embedded.program import Simorgh, command
from tests.embedded.terminal import on_terminal
from tests.support.gateway import Gateway, running_gateway
from tests.support.stack import Bucket, Database

_LONG = "این پرسشی است که از پهنای ترمینال درازتر است و نباید در میانِ یک نویسه بریده شود 🐦‍🔥 " * 3


def rows(*pairs: tuple[str, str]) -> str:
    return "".join(json.dumps({"question": q, "answer": a}, ensure_ascii=False) + "\n" for q, a in pairs)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "گفتگو.jsonl"
    path.write_text(rows(("سلام", "درود"), (_LONG, "می‌دانم")), encoding="utf-8")
    return path


class TestUpload:
    def test_what_went_up_is_shown_listed_and_comes_down_again(self, user: Simorgh, file: Path, tmp_path: Path) -> None:
        """R-API-4, R-DATA-1, R-DATA-4: with a test split and a name; the same bytes come back."""
        test = tmp_path / "held-out.jsonl"
        test.write_text(rows(("خداحافظ", "به امید دیدار")), encoding="utf-8")
        made = user.ask("datasets", "upload", str(file), "--test", str(test), "--name", "گپ")
        assert (made["name"], made["rows"], made["version"], made["created"]) == ("گپ", 3, 1, True)
        assert made["id"] in user.run("datasets").stdout
        shown = user.run("datasets", "show", made["id"]).stdout
        assert "گپ" in shown
        assert "test: 1 row," in shown
        user.run("datasets", "download", made["id"], "-o", "back.jsonl")
        assert (user.home / "back.jsonl").read_bytes() == file.read_bytes()
        assert user.run("datasets", "download", made["id"], "-o", "-", "--split", "test").stdout == test.read_text()
        next_version = user.ask("datasets", "upload", str(test), "--dataset", made["id"])
        assert (next_version["id"], next_version["version"]) == (made["id"], 2)

    def test_bad_rows_are_told_by_line_or_left_out(self, user: Simorgh, tmp_path: Path) -> None:
        """R-API-4, R-DATA-3: the API's sentence, and its lines below it."""
        file = tmp_path / "bad.jsonl"
        file.write_text(rows(("یک", "دو")) + "{oops\n" + '{"question": "چرا؟"}\n', encoding="utf-8")
        told = user.refuse("datasets", "upload", str(file)).splitlines()
        assert told[0].startswith("simorgh: 2 of 3 rows cannot be used.")
        assert told[1].startswith("  Line 2: this is not one JSON object")
        assert told[2] == "  Line 3: the field answer is missing."
        kept = user.run("datasets", "upload", str(file), "--on-error", "skip")
        assert "1 qa rows" in kept.stdout
        assert "2 rows were left out" in kept.stderr
        assert "Line 3: the field answer is missing." in kept.stderr

    def test_refusals_are_sentences_and_leave_with_1(self, user: Simorgh, tmp_path: Path) -> None:
        """R-API-4: type, size and absence; a file that is not there is wrong usage."""
        picture = tmp_path / "a.png"
        picture.write_bytes(b"x")
        assert "Files of type .png are not taken" in user.refuse("datasets", "upload", str(picture))
        large = tmp_path / "large.jsonl"
        large.write_text('{"text": "' + "x" * 200_000 + '"}\n')
        assert "larger than the limit of 100000 bytes" in user.refuse("datasets", "upload", str(large))
        assert "There is no dataset ds_none" in user.refuse("datasets", "show", "ds_none")
        assert user.refuse("datasets", "show", "../jobs").startswith("simorgh: There is no")
        user.refuse("datasets", "upload", str(tmp_path / "none.jsonl"), code=2)
        assert "There is no dataset ds_none" in user.refuse("datasets", "download", "ds_none", "-o", "x")
        small = tmp_path / "small.jsonl"
        small.write_text(rows(("جا", "نیست")), encoding="utf-8")
        dataset_id = user.ask("datasets", "upload", str(small))["id"]
        refused = user.refuse("datasets", "download", dataset_id, "-o", "/proc/none/x")
        assert "The folder /proc/none does not exist" in refused

    def test_a_large_file_takes_no_more_memory_than_a_small_one(
        self, database: Database, redis_url: str, bucket: Bucket, tmp_path: Path, stranger: Simorgh
    ) -> None:
        """R-API-4: files are streamed."""
        servers = {"SIMORGH_DATABASE_URL": database.url, "SIMORGH_REDIS_URL": redis_url} | bucket.environment()
        small, large = tmp_path / "small.jsonl", tmp_path / "large.jsonl"
        line = '{"text": "' + "x" * 2_000 + '"}\n'
        small.write_text(line)
        large.write_text(line * 20_000)
        with running_gateway(tmp_path, **servers, SIMORGH_MAX_UPLOAD_BYTES="100000000") as gateway:
            stranger.run("login", "--url", gateway.url, "--email", "large@example.test")
            peaks = [peak_bytes(stranger, "datasets", "upload", str(file)) for file in (small, large)]
            (dataset, _) = stranger.ask("datasets")["datasets"]
            assert dataset["bytes"] == large.stat().st_size > 40_000_000
            peaks.append(peak_bytes(stranger, "datasets", "download", dataset["id"], "-o", "back.jsonl"))
        assert max(peaks[1:]) < peaks[0] + 8_000_000


class TestShow:
    def test_persian_is_cut_to_the_terminal_between_characters_only(self, user: Simorgh, file: Path) -> None:
        """R-API-4: nothing is reversed, and nothing is cut where no terminal is."""
        dataset_id = user.ask("datasets", "upload", str(file))["id"]
        assert _LONG.strip() in user.run("datasets", "preview", dataset_id).stdout
        screen = on_terminal(user, "datasets", "preview", dataset_id)
        (line,) = [line for line in screen.splitlines() if "این پرسشی" in line]
        assert line.endswith("…")
        assert width(line) <= 100
        assert line.removesuffix("…").removeprefix("2    ") in _LONG

    def test_a_deleted_dataset_is_gone(self, user: Simorgh, file: Path) -> None:
        """R-API-4."""
        dataset_id = user.ask("datasets", "upload", str(file), "--name", "passing")["id"]
        assert dataset_id in user.run("datasets", "delete", dataset_id).stdout
        assert "There is no dataset" in user.refuse("datasets", "show", dataset_id)

    def test_of_a_list_at_most_so_many_are_shown(self, gateway: Gateway, user: Simorgh, tmp_path: Path) -> None:
        """R-API-4: in as many parts as it takes."""
        for number in range(3):
            path = tmp_path / f"{number}.jsonl"
            path.write_text(rows((f"{number}", "پاسخ")), encoding="utf-8")
            user.run("datasets", "upload", str(path))
        assert [one["name"] for one in user.ask("datasets", "list", "--limit", "2")["datasets"]] == [
            "2.jsonl",
            "1.jsonl",
        ]
        user.refuse("datasets", "--limit", "0", code=2)

    def test_a_reader_that_leaves_early_ends_it_quietly(self, user: Simorgh, file: Path) -> None:
        """R-API-4: `simorgh … | head`."""
        dataset_id = user.ask("datasets", "upload", str(file))["id"]
        reading, writing = os.pipe()
        os.close(reading)
        arguments = command("datasets", "preview", dataset_id)
        done = subprocess.run(arguments, env=user.environment(), stdout=writing, stderr=subprocess.PIPE, check=False)
        os.close(writing)
        assert done.stderr == b""


class TestText:
    def test_a_cut_never_parts_a_letter_from_its_marks(self) -> None:
        """R-API-4: joined letters, marks and emoji stay whole, and the width counts cells."""
        text = "سَلام می‌دانم 🐦‍🔥!"
        pieces = {cut(text, cells).removesuffix("…") for cells in range(1, width(text))}
        assert all(text.startswith(piece) for piece in pieces)
        assert not any(piece.endswith(("س", "\u200d", "🐦")) for piece in pieces)
        assert all(width(cut(text, cells)) <= cells for cells in range(1, 20))
        assert cut(text, width(text)) == text

    def test_columns_line_up_by_width_and_ids_are_never_cut(self) -> None:
        """R-API-4."""
        lines = table(("ID", "N", "NAME"), [("id_1", "۱", "سلام"), ("id_22", "12", "مِهر" * 20)], 30)
        assert [width(line.partition("12")[0]) for line in lines[2:]] == [len("id_22  ")]
        assert width(lines[2]) == 30
        assert lines[1].startswith("id_1   ۱   سلام")

    def test_a_name_cannot_steer_the_terminal_or_turn_the_line_around(self) -> None:
        """R-API-4: control characters and open direction overrides are left out, joiners stay."""
        assert printable("a\x1b[31mb\nc\u202eمی‌دانم") == "a[31mb cمی‌دانم"


def peak_bytes(program: Simorgh, *arguments: str) -> int:
    """The most memory that the program had."""
    child = subprocess.Popen(
        command(*arguments), env=program.environment(), cwd=program.home, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return usage.ru_maxrss * 1024
