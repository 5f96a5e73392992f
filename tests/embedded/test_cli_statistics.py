"""What is known of datasets, by the command line (R-API-4, R-DATA-5)."""

import json
from collections.abc import Callable

import pytest

from tests.embedded.program import Simorgh
from tests.support.engine import Engine


@pytest.fixture(scope="module")
def owner(working_platform: Engine, new_user: Callable[[], Simorgh]) -> Simorgh:
    """Someone on a platform that looks through datasets."""
    working_platform.start_worker("io", 2)
    return new_user()


def rows(*pairs: tuple[str, str]) -> str:
    return "".join(json.dumps({"question": q, "answer": a}, ensure_ascii=False) + "\n" for q, a in pairs)


@pytest.fixture(scope="module")
def dataset_id(owner: Simorgh) -> str:
    """A dataset with a repeated row, a phone number, a wrong id, an Arabic letter and a leak."""
    train, test = owner.home / "گفتگو.jsonl", owner.home / "test.jsonl"
    wrong = ("کد ملی؟", "0499370898 يا چنین چیزی")
    train.write_text(rows(("سلام", "درود"), ("سلام", "درود"), ("شماره؟", "09121234567"), wrong), encoding="utf-8")
    test.write_text(rows(("سلام!", "چطوری دوست من")), encoding="utf-8")
    return str(owner.ask("datasets", "upload", str(train), "--test", str(test))["id"])


class TestShow:
    def test_tells_the_figures_by_name_once_they_are_there(self, owner: Simorgh, dataset_id: str) -> None:
        """R-API-4, R-DATA-5, R-DATA-6: what to look at stands beside the output."""
        done = owner.run("datasets", "show", "گفتگو.jsonl", "--wait")
        assert dataset_id in done.stdout
        told = dict(line.split("  ", 1) for line in done.stdout.splitlines() if "  " in line)
        told = {name: value.strip() for name, value in told.items()}
        assert told["duplicates"] == "1 row (train 1, 2), and 0 nearly"
        assert told["leaks"] == "1 test row (test 1 = train 1), 0 nearly"
        assert told["code points"] == "1 row with Arabic ones (train 4)"
        assert told["personal data"] == "1 phone number (train 3)"
        assert told["like ids"] == "1 ten-digit number with a wrong checksum (train 4)"
        assert told["splits"].startswith("train: 4 rows, ")
        assert "test: 1 row, " in told["splits"]
        assert " 0.0%" not in told["languages"]
        assert "simorgh datasets report گفتگو.jsonl -o FILE.html" in done.stdout.replace("'", "")
        assert "byte-level BPE" in done.stdout
        assert "! 1 row holds what seems to belong to persons" in done.stderr
        assert owner.ask("datasets", "show", dataset_id)["statistics"]["summary"]["duplicate_rows"] == 1

    def test_a_name_that_there_is_not_is_refused(self, owner: Simorgh, dataset_id: str) -> None:
        """R-API-4."""
        assert "There is no dataset نیست in this project" in owner.refuse("datasets", "show", "نیست")


class TestReport:
    def test_is_written_whole(self, owner: Simorgh, dataset_id: str) -> None:
        """R-API-4, R-DATA-5: to a file, or to standard output."""
        said = owner.run("datasets", "report", dataset_id, "-o", "report.html").stdout
        assert said.endswith("to report.html.\n")
        page = (owner.home / "report.html").read_text(encoding="utf-8")
        assert page.startswith("<!doctype html>")
        assert page.endswith("</html>\n")
        assert "09121234567" not in page
        assert owner.run("datasets", "report", "گفتگو.jsonl", "-o", "-").stdout == page
