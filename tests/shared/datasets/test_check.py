"""Checking an upload: what is counted, what is refused and in which words, and what it costs."""

import hashlib
import io
import json
import subprocess
import sys

import pytest

from simorgh_shared.datasets.check import CheckOptions, CheckReport, check_stream, refusal
from simorgh_shared.datasets.rows import QaRow, RowSchema, iter_rows

GOOD = '{"question":"سلام","answer":"خوبی؟"}'


def check(text: str | bytes, file_format: str = "jsonl", **options: object) -> CheckReport:
    data = text.encode() if isinstance(text, str) else text
    return check_stream(io.BytesIO(data), CheckOptions(format=file_format, **options))


def child(data_parts, *arguments):
    """The child's report and its peak memory in bytes, for parts written to its stdin one by one."""
    program = (
        "import resource, runpy, sys; from simorgh_shared.datasets import check; "
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        "check.main(); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        for part in data_parts:
            process.stdin.write(part)
        process.stdin.close()
        report, growth_kib = process.stdout.read().splitlines()
    assert process.returncode == 0
    return json.loads(report), int(growth_kib) * 1024


class TestJsonl:
    def test_counts_rows_and_hash(self):
        """R-DATA-3: BOM, CRLF and blank lines are no fault."""
        data = f"\ufeff{GOOD}\r\n\r\n{GOOD}\n\n{GOOD}".encode()
        report = check(data)
        assert (report.valid, report.rows, report.total_lines, report.row_schema) == (True, 3, 3, RowSchema.QA)
        assert (report.bytes, report.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert not report.clean_needed

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ('{"question":"a"}', "the field answer is missing"),
            ('{"question":"a","answer":" \\u200a"}', "the field answer is empty"),
            ('{"question":"a","answer":""}', "the field answer is empty"),
            ('{"question":"a","answer":5}', "the field answer is a number, but must be a text"),
            ('{"question":null,"answer":"b"}', "the field question is null"),
            ('{"question":"a" "answer":"b"}', "this is not one JSON object"),
            ("[1]", "a row is a JSON object, this is a list"),
            (GOOD + GOOD, "this is not one JSON object"),
            ('{"question":"\\ud800","answer":"b"}', "this is not one JSON object"),
            ('{"question":"\\u0000","answer":"b"}', "the field question holds a NUL character"),
            (json.dumps({"question": "a", "answer": "b" * 1_000_001}), "longer than 1000000 characters"),
            ('{"question":"a","answer":"b","x":' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deep"),
        ],
    )
    def test_a_bad_line_7_says_why(self, line, reason):
        """R-DATA-3."""
        report = check("\n".join([GOOD] * 6 + [line] + [GOOD] * 3))
        assert (report.valid, report.problem, report.error_count) == (False, "dataset_invalid", 1)
        assert (report.total_lines, report.valid_lines) == (10, 9)
        assert report.errors[0].startswith("Line 7: ")
        assert reason in report.errors[0]

    def test_a_row_over_two_lines_is_two_bad_lines(self):
        """R-DATA-3: as many values as lines does not make each line a row."""
        report = check('{"question":"a","answer":"b"}{"question":"c",\n"answer":"d"}\n' + GOOD)
        assert (report.error_count, report.valid_lines) == (2, 1)

    def test_shows_ten_errors_and_counts_all(self):
        """R-DATA-3."""
        report = check("\n".join([GOOD, *['{"question":"a"}'] * 25]))
        assert (len(report.errors), report.error_count) == (10, 25)
        error = refusal(report)
        assert error is not None
        assert str(error).startswith("25 of 26 rows cannot be used")
        assert error.details == report.errors

    def test_the_last_of_two_equal_keys_wins(self, tmp_path):
        clean = tmp_path / "clean"
        check('[{"question":"a","question":"c","answer":"b"}]', "json", clean=clean)
        assert list(iter_rows(clean, RowSchema.QA)) == [QaRow("c", "b")]

    def test_skip_keeps_the_good_rows(self, tmp_path):
        """R-DATA-3: on_error=skip."""
        spool, clean = tmp_path / "spool", tmp_path / "clean"
        report = check(f"{GOOD}\nnonsense\n{GOOD}\n", skip_bad_rows=True, spool=spool, clean=clean)
        assert (report.valid, report.rows, report.error_count, report.clean_needed) == (True, 2, 1, True)
        assert clean.read_text() == f"{GOOD}\n{GOOD}\n"
        assert report.clean_sha256 == hashlib.sha256(clean.read_bytes()).hexdigest()
        assert spool.stat().st_size == report.bytes

    def test_mapped_columns_become_canonical(self, tmp_path):
        """R-DATA-2."""
        clean = tmp_path / "clean"
        columns = {"question": "prompt", "answer": "response"}
        report = check('{"prompt":"a","response":"b","n":1}\n', columns=columns, clean=clean)
        assert report.valid
        assert clean.read_text() == '{"question":"a","answer":"b"}\n'

    @pytest.mark.parametrize("extra", [b"", b',"x":1'], ids=["known fields", "a further field"])
    @pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
    def test_a_bad_byte_is_found_wherever_it_stands(self, extra, newline):
        """R-DATA-1: its offset and line, in fields that are read and in those that are skipped."""
        good = b'{"question":"\xd8\xb3","answer":"b"' + extra + b"}" + newline
        bad = good.replace(b"\xd8\xb3", b"\xd8\xb3\xff") if not extra else good.replace(b"1}", b'"\xff"}')
        data = b"\xef\xbb\xbf" + good * 9_000 + bad + good * 9_000
        report = check(data)
        assert report.problem == "dataset_not_utf8"
        assert report.problem_params == {"offset": data.index(b"\xff"), "line": 9_001}

    def test_further_fields_and_odd_layouts_count_alike(self):
        """R-DATA-3: however the rows are written, each line is judged once."""
        lines = [GOOD, '{ "answer":"b","question":"a"}', '{"question":"a","n":{"question":1},"answer":"b"}', ""]
        lines += [GOOD + " ", '{"question":"a","answer":""}', '{"answer":"c",', '"question":"d"}', GOOD + GOOD]
        report = check("\n".join(lines * 4_000))
        assert (report.total_lines, report.valid_lines) == (8 * 4_000, 4 * 4_000)
        assert [error.split(":")[0] for error in report.errors[:4]] == ["Line 6", "Line 7", "Line 8", "Line 9"]

    def test_a_reason_quotes_no_more_than_is_read(self):
        """R-DATA-3: a decoder's words may hold the whole value."""
        report = check(f'{{"messages":[{{"role":"{"x" * 900_000}","content":"a"}}]}}')
        assert len(report.errors[0]) < 400

    def test_long_rows_tell_their_kind(self):
        """R-DATA-2: rows as long as a chunk hide no name."""
        assert check("\n".join([json.dumps({"text": "a" * 300_000})] * 3)).row_schema is RowSchema.TEXT

    @pytest.mark.parametrize(
        ("data", "problem", "sentence"),
        [
            (b"", "dataset_empty", "no rows"),
            (b" \n\n", "dataset_empty", "no rows"),
            (GOOD.encode() + b"\n\xff", "dataset_not_utf8", "byte 46, in line 2"),
            (b"\x89PNG\r\n\x1a\n" + bytes(100), "dataset_not_utf8", "byte 0, in line 1"),
            (b"question,answer\na,b\n", "dataset_not_format", "not JSON Lines"),
            (b'{"foo":1}\n', "dataset_unknown_schema", "(foo)"),
        ],
    )
    def test_what_is_no_dataset_is_refused(self, data, problem, sentence):
        """R-DATA-1."""
        report = check(data)
        assert (report.valid, report.problem, report.bytes) == (False, problem, len(data))
        assert sentence in str(refusal(report))


class TestSchemas:
    def test_messages_and_text_are_detected(self):
        """R-DATA-2."""
        chat = '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}'
        assert check(chat).row_schema is RowSchema.MESSAGES
        assert check('{"text":"a"}').row_schema is RowSchema.TEXT
        alone = check('{"messages":[{"role":"user","content":"a"}]}')
        assert alone.errors == ["Line 1: no message is the assistant's."]
        wrong = check('{"messages":[{"role":"me","content":"a"}]}')
        assert "role" in wrong.errors[0]


class TestJson:
    def test_items_are_numbered(self, tmp_path):
        """R-DATA-3."""
        clean = tmp_path / "clean"
        report = check(f'[{GOOD},\n{{"question":"a"}}, 5]', "json", skip_bad_rows=True, clean=clean)
        assert (report.rows, report.error_count) == (1, 2)
        assert [error.split(":")[0] for error in report.errors] == ["Item 2", "Item 3"]
        assert clean.read_text() == GOOD + "\n"

    def test_one_object_is_one_row(self):
        """R-DATA-1."""
        assert check(GOOD, "json").rows == 1

    def test_a_bad_first_item_hides_no_kind(self):
        """R-DATA-3."""
        report = check(f"[5, {{oops}}, {GOOD}]", "json", skip_bad_rows=True)
        assert (report.rows, report.error_count) == (1, 2)

    @pytest.mark.parametrize("text", [f"[{GOOD}", f"[{GOOD},]", f"[{GOOD}] x", f"[,{GOOD}]", '[{"a":"', "hello"])
    def test_a_broken_document_is_refused(self, text):
        report = check(text, "json", skip_bad_rows=True)
        assert (report.valid, report.problem) == (False, "dataset_not_format")

    def test_strings_with_brackets_and_quotes_across_chunks(self):
        row = json.dumps({"question": '[{"\\"},', "answer": "ی" * 999}, ensure_ascii=False)
        assert check("[" + ",".join([row] * 2_000) + "]", "json").rows == 2_000


class TestCsv:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_a_row_is_named_by_the_line_where_it_starts(self, delimiter, tmp_path):
        """R-DATA-3: a quoted cell may span lines."""
        text = '\ufeffquestion,answer\r\n"a\r\nb",c\r\n"d\n\ne",\r\nf,g\r\n'.replace(",", delimiter)
        clean = tmp_path / "clean"
        report = check(text, "csv", skip_bad_rows=True, clean=clean)
        assert report.errors == ["Line 4: the field answer is empty."]
        assert report.rows == 2
        assert next(iter_rows(clean, RowSchema.QA)) == QaRow("a\r\nb", "c")

    def test_blank_lines_before_the_header_are_skipped(self):
        """R-DATA-1: and they count as lines."""
        report = check("\n \nquestion,answer\na,b\nc,\n", "csv")
        assert (report.valid_lines, report.errors) == (1, ["Line 5: the field answer is empty."])

    def test_a_column_that_stands_twice_is_refused(self):
        """R-DATA-2: nobody can tell which is meant."""
        report = check("question,answer,answer\na,b,c\n", "csv")
        assert "the column answer stands in the header twice" in str(refusal(report))

    def test_an_unquoted_comma_does_not_cut_an_answer(self):
        report = check("question,answer\na,b, c\n", "csv")
        assert "the row has 3 cells, the header has 2" in report.errors[0]

    def test_an_open_quote_is_an_error(self):
        assert not check('question,answer\n"a,b\nc,d\n', "csv").valid


class TestChild:
    """R-DATA-1: constant memory."""

    def test_a_good_file(self):
        report, growth = child([(GOOD + "\n").encode() * 20_000] * 30, "--format", "jsonl")
        assert (report["valid"], report["rows"]) == (True, 600_000)
        assert growth < 64 * 2**20

    @pytest.mark.parametrize("file_format", ["jsonl", "json", "csv"])
    def test_a_row_of_80_mb_is_refused_in_bounded_memory(self, file_format):
        start = {"jsonl": b'{"question":"', "json": b'[{"question":"', "csv": b'question,answer\n"'}[file_format]
        report, growth = child([start, *[b"a" * 2**20] * 80], "--format", file_format, "--schema", "qa")
        assert not report["valid"]
        assert "longer than 4194304 bytes" in json.dumps(report)
        assert growth < 64 * 2**20


PREFERENCE = '{"prompt":"پایتخت ایران؟","chosen":"تهران","rejected":"شیراز"}'


class TestPreference:
    @pytest.mark.parametrize(
        ("name", "data"),
        [
            ("jsonl", PREFERENCE + "\n"),
            ("json", f"[{PREFERENCE}]"),
            ("csv", "prompt,chosen,rejected\nپایتخت ایران؟,تهران,شیراز\n"),
        ],
    )
    def test_is_told_by_its_fields(self, tmp_path, name, data):
        """R-DATA-2: in each format, and kept under its own names."""
        clean = tmp_path / "clean"
        report = check(data, name, clean=clean)
        assert (report.row_schema, report.valid, report.rows) == (RowSchema.PREFERENCE, True, 1)
        assert (clean.read_text() if report.clean_needed else data) == PREFERENCE + "\n"

    def test_is_told_beside_messages(self):
        """R-DATA-2: published files often hold the chosen answer as a chat too."""
        row = PREFERENCE.replace("}", ',"messages":[{"role":"user","content":"x"}]}')
        assert check(row).row_schema is RowSchema.PREFERENCE

    def test_columns_are_mapped(self, tmp_path):
        """R-DATA-2."""
        clean = tmp_path / "clean"
        columns = {"prompt": "question", "chosen": "better", "rejected": "worse"}
        report = check('{"question":"a","better":"b","worse":"c"}', columns=columns, clean=clean)
        assert report.row_schema is RowSchema.PREFERENCE
        assert clean.read_text() == '{"prompt":"a","chosen":"b","rejected":"c"}\n'

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ('{"prompt":"a","chosen":"b"}', "the field rejected is missing"),
            ('{"prompt":"a","chosen":" ","rejected":"c"}', "the field chosen is empty"),
            ('{"prompt":"a","chosen":["b"],"rejected":"c"}', "the field chosen is a list, but must be a text"),
        ],
    )
    def test_a_bad_row_says_why(self, row, reason):
        """R-DATA-3."""
        report = check(f"{PREFERENCE}\n{row}")
        assert (report.error_count, report.valid_lines) == (1, 1)
        assert report.errors[0].startswith(f"Line 2: {reason}")

    def test_a_prompt_alone_is_none(self):
        """R-DATA-2: prompt and completion are a question and an answer under other names."""
        assert check('{"prompt":"a","completion":"b"}').problem == "dataset_unknown_schema"


class TestAudio:
    def test_rows_without_their_clips_are_refused(self):
        """R-DATA-2: what to send is said."""
        report = check('{"file_name":"a.wav","text":"b"}', row_schema=RowSchema.AUDIO)
        assert report.problem == "dataset_not_format"
        assert "metadata.jsonl" in str(refusal(report))
