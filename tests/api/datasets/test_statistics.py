"""What is known of datasets, through the API with a real worker (R-DATA-5, R-DATA-6)."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from simorgh_shared.db.models import DatasetVersion
from tests.api.datasets.uploading import ok, row, upload, wait_until
from tests.support.engine import Engine
from tests.support.gateway import Account

PLAIN = [
    (f"پرسش {name} درباره‌ی {thing} چیست؟", f"{thing} را {name} می‌داند")
    for name, thing in zip(
        ("سارا", "مهرداد", "نیلوفر", "کوروش", "پریسا"), ("فیزیک", "شیمی", "ریاضی", "تاریخ", "جغرافیا"), strict=True
    )
]
PLANTED = [
    *PLAIN,
    ("نشانی تو کجاست و چگونه به تو نامه بنویسم؟", "به <b>sara@example.com</b> بنویس"),  # 6
    ("كتاب من كجاست", "روی میز است"),  # 7
    ("کتاب من کجاست", "روی میز است"),  # 8: equal after normalisation
    ("کد ملی من 0499370899 است", "کد ۰۴۹۹۳۷۰۸۹۸ درست نیست"),  # 9: valid and invalid
    ("شماره‌ات چیست؟", "۰۹۱۲ ۱۲۳ ۴۵۶۷ یا 021-88776655"),  # 10
    ("شبا بده", "IR82 0540 1026 8002 0817 9090 02"),  # 11
    ("کارت بده", "6037-9918-9975-4323"),  # 12
    ("فرق دوبیتی با رباعی چیست", "رباعی با هجای بلند شروع می‌شود ولی دوبیتی با هجای کوتاه"),  # 13
    ("فرق دوبیتی با رباعی چیه", "رباعی با هجای بلند شروع می‌شود ولی دوبیتی با هجای کوتاه"),  # 14: near
]
TEST = [("ﻛﺘﺎﺏ من كجاست؟؟", "نمی‌دانم کجا گذاشتی"), ("چه خبر از دنیای بیرون", "خبری نیست")]


@pytest.fixture(scope="module")
def someone(engine: Engine, sign_up: Callable[[], Account]) -> httpx.Client:
    """Someone whose jobs are done."""
    del engine
    return sign_up().client


@pytest.fixture(scope="module")
def planted(someone: httpx.Client) -> str:
    """The id of a dataset with faults, looked through."""
    files = {"dataset": ("planted.jsonl", lines(PLANTED)), "test": ("test.jsonl", lines(TEST))}
    made = ok(upload(someone, files))
    assert made["rows"] == len(PLANTED) + len(TEST), "usable at once"
    wait_ready(someone, made["id"])
    return str(made["id"])


def lines(rows: list[tuple[str, str]]) -> bytes:
    return b"".join(row(question, answer) for question, answer in rows)


def state(client: httpx.Client, dataset_id: str) -> Any:
    return ok(client.get(f"/api/datasets/{dataset_id}"))["statistics"]


def wait_ready(client: httpx.Client, dataset_id: str) -> Any:
    wait_until(lambda: state(client, dataset_id)["status"] in ("ready", "failed"), "statistics", within_s=90)
    found = state(client, dataset_id)
    assert found["status"] == "ready", found
    return found


def places(found: Any) -> list[tuple[str, int]]:
    return [(place["split"], place["line"]) for place in found]


class TestStatistics:
    def test_what_was_planted_is_found_counted_and_shown_with_lines(self, someone: httpx.Client, planted: str) -> None:
        """R-DATA-5: personal data of each kind, an invalid national id beside a valid one, code points, duplicates."""
        found = ok(someone.get(f"/api/datasets/{planted}/statistics"))
        personal = {kind["kind"]: kind for kind in found["personal_data"]["kinds"]}
        assert {kind: one["count"] for kind, one in personal.items()} == {
            "national_id": 1,
            "phone": 2,
            "iban": 1,
            "card": 1,
            "email": 1,
        }
        assert {kind: places(one["found"]) for kind, one in personal.items()} == {
            "national_id": [("train", 9)],
            "phone": [("train", 10), ("train", 10)],
            "iban": [("train", 11)],
            "card": [("train", 12)],
            "email": [("train", 6)],
        }
        assert found["personal_data"]["num_invalid_national_ids"] == 1
        assert found["personal_data"]["invalid_national_ids"] == [
            {"split": "train", "line": 9, "field": "answer", "excerpt": "کد ۰۴••••••۹۸ درست نیست"}
        ]
        assert personal["national_id"]["found"][0]["excerpt"] == "کد ملی من 04••••••99 است"
        assert places(found["duplicates"]["groups"][0]["places"]) == [("train", 7), ("train", 8)]
        assert places(found["near_duplicates"]["groups"][0]["places"]) == [("train", 13), ("train", 14)]
        codes = {one["code_point"]: (one["count"], one["rows"]) for one in found["code_points"]["code_points"]}
        assert codes["U+0643"] == (3, 2)

    def test_a_leak_is_told_with_the_lines_of_both_sides(self, someone: httpx.Client, planted: str) -> None:
        """R-DATA-6: also in presentation forms."""
        exact = ok(someone.get(f"/api/datasets/{planted}/statistics"))["leakage"]["exact"]
        assert (exact["num_test_rows"], exact["share"], exact["by_field"]) == (1, 0.5, {"question": 1})
        assert [(leak["test"]["line"], leak["train"]["line"]) for leak in exact["pairs"]] == [(1, 7)]

    def test_characters_and_tokens_are_told_by_field_with_the_tokenizer(
        self, someone: httpx.Client, planted: str
    ) -> None:
        """R-DATA-5: rows, bytes and the hash too."""
        found = ok(someone.get(f"/api/datasets/{planted}/statistics"))
        fields = {field["field"]: field for field in found["fields"]}
        questions = sorted(len(question) for question, _ in [*PLANTED, *TEST])
        assert fields["question"]["characters"]["total"] == sum(questions)
        assert fields["question"]["characters"]["most"] == questions[-1]
        assert fields["question"]["characters"]["p50"] == questions[7]
        assert fields["row"]["tokens"]["count"] == len(PLANTED) + len(TEST)
        assert "byte-level BPE" in found["tokenizer"]["name"]
        assert found["tokenizer"]["is_sample"] is False
        assert found["tokenizer"]["estimated_tokens"] == fields["row"]["tokens"]["total"]
        detail = ok(someone.get(f"/api/datasets/{planted}"))
        assert [found[name] for name in ("rows", "bytes", "sha256")] == [detail[n] for n in ("rows", "bytes", "sha256")]

    def test_the_summary_says_what_to_look_at(self, someone: httpx.Client, planted: str) -> None:
        """R-DATA-5: in the dataset itself."""
        summary = state(someone, planted)["summary"]
        assert (summary["duplicate_rows"], summary["near_duplicate_rows"], summary["leaking_test_rows"]) == (1, 1, 1)
        assert summary["personal_data"] == {"national_id": 1, "phone": 2, "iban": 1, "card": 1, "email": 1}
        assert summary["warnings"][0].startswith("5 rows hold what seems to belong to persons")

    def test_no_full_value_is_in_any_answer(self, someone: httpx.Client, planted: str) -> None:
        """R-DATA-5: masked everywhere, in the page too, and in rows that are shown for another reason."""
        secrets = ("0499370899", "۰۴۹۹۳۷۰۸۹۸", "sara@example.com", "۱۲۳ ۴۵۶۷", "88776655", "0540 1026", "9918-9975")
        for path in ("", "/statistics", "/report"):
            text = someone.get(f"/api/datasets/{planted}{path}").text
            assert [secret for secret in secrets if secret in text] == []


class TestReport:
    def test_stands_by_itself_and_runs_nothing(self, someone: httpx.Client, planted: str) -> None:
        """R-DATA-5: one page; a policy in its header and in itself forbids all but its style."""
        answer = someone.get(f"/api/datasets/{planted}/report")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        assert not re.search(r"<script|<img|<link|<iframe|\son\w+=|\sstyle=|https?://|@import|url\(", answer.text)
        assert "<svg" in answer.text

    def test_what_rows_say_cannot_become_a_tag(self, someone: httpx.Client, planted: str) -> None:
        """R-DATA-5: everything is escaped, the dataset's name too."""
        text = someone.get(f"/api/datasets/{planted}/report").text
        assert "<b>s•••@•••.com" not in text
        assert "&lt;b&gt;s•••@•••.com" in text
        name = '<script>alert("x")</script>.jsonl'
        made = ok(upload(someone, {"dataset": ("a.jsonl", lines(PLAIN))}, name=name))
        wait_ready(someone, made["id"])
        page = someone.get(f"/api/datasets/{made['id']}/report").text
        assert "<script" not in page
        assert "&lt;script&gt;" in page

    @pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium on this machine")
    def test_a_browser_shows_it_with_no_complaint(self, someone: httpx.Client, planted: str, tmp_path: Path) -> None:
        """R-DATA-5: its own policy, which stands in the file too, lets its own style pass."""
        file = tmp_path / "report.html"
        file.write_text(someone.get(f"/api/datasets/{planted}/report").text, encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
        shown = subprocess.run(
            ["chromium", *options, f"--screenshot={tmp_path}/shown.png", f"file://{file}"],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert "Content Security Policy" not in shown.stderr
        assert (tmp_path / "shown.png").stat().st_size > 20_000


class TestWhenItRuns:
    def test_nothing_is_looked_through_twice(self, someone: httpx.Client, engine: Engine, planted: str) -> None:
        """R-DATA-5: the same content is known already, under another name too; it is a version with a job of its own
        else."""
        job_id = state(someone, planted)["job_id"]
        files = {"dataset": ("planted.jsonl", lines(PLANTED)), "test": ("test.jsonl", lines(TEST))}
        again = ok(upload(someone, files, name="again"))
        assert again["id"] != planted
        known = state(someone, again["id"])
        assert (known["status"], known["job_id"]) == ("ready", job_id)
        more = ok(upload(someone, {"dataset": ("b.jsonl", lines(PLANTED[:6]))}, dataset_id=planted))
        assert more["version"] == 2
        assert wait_ready(someone, planted)["job_id"] != job_id
        assert ok(someone.get(f"/api/datasets/{planted}", params={"version": 1}))["statistics"]["job_id"] == job_id
        started = someone.post(f"/api/datasets/{again['id']}/statistics")
        assert (started.status_code, started.json()["data"]["job_id"]) == (202, job_id), "ready: nothing is done"
        with engine.sessions() as session:
            of_content = sa.select(DatasetVersion.statistics_job_id).where(DatasetVersion.dataset_id == again["id"])
            assert session.scalars(of_content).all() == [job_id]

    def test_the_sample_is_looked_through_and_has_no_leak(self, someone: httpx.Client) -> None:
        """R-DATA-5, R-DATA-10: whoever makes a version."""
        run = ok(someone.post("/api/train/start", json={"maxSteps": 1}))["runId"]
        someone.post(f"/api/jobs/{run}/cancel")
        listed = ok(someone.get("/api/datasets/list"))
        sample = next(one for one in listed if one["name"] == "chatterbot-fa")
        summary = wait_ready(someone, sample["id"])["summary"]
        assert (summary["duplicate_rows"], summary["leaking_test_rows"], summary["near_leaking_test_rows"]) == (0, 0, 0)
        assert set(summary["personal_data"].values()) == {0}
