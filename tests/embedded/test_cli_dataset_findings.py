"""How the command line tells the findings of a dataset (R-API-4, R-DATA-5)."""

from typing import Any

from simorgh_cli.commands.dataset_findings import counted, findings


def places(*lines: int, split: str = "train") -> list[dict[str, Any]]:
    return [{"split": split, "line": line} for line in lines]


def known(**changed: Any) -> dict[str, Any]:
    none = {"num_rows": 0, "num_groups": 0, "groups": []}
    clean = {"num_rows": 0, "kinds": [], "num_invalid_national_ids": 0, "invalid_national_ids": []}
    return {
        "duplicates": none,
        "near_duplicates": none,
        "leakage": None,
        "code_points": {"num_rows": 0, "code_points": []},
        "personal_data": clean | changed.pop("personal", {}),
        **changed,
    }


def test_nothing_found_is_said() -> None:
    """R-DATA-5: without a test split there is no line about leaks."""
    told = findings(known())
    assert told["duplicates"] == "0 rows, and 0 nearly"
    assert told["personal data"] == "none found"
    assert (told["leaks"], told["like ids"]) == ("", "")


def test_the_first_lines_are_named_and_that_there_are_more() -> None:
    """R-DATA-5: each line once, by split; thousands with their comma."""
    kind = {"kind": "email", "count": 1234, "found": [*places(3, 3, 5), *places(1, 2, 7, 8, split="test")]}
    invalid = {"num_invalid_national_ids": 2, "invalid_national_ids": places(9, 9)}
    told = findings(known(personal={"kinds": [kind], **invalid}))
    assert told["personal data"] == "1,234 e-mail addresses (train 3, 5; test 1, 2, 7 …)"
    assert told["like ids"] == "2 ten-digit numbers with a wrong checksum (train 9)"


def test_a_count_without_places_stands_alone() -> None:
    """R-DATA-5: statistics that were made before places were kept."""
    told = findings(known(personal={"num_invalid_national_ids": 1}))
    assert told["like ids"] == "1 ten-digit number with a wrong checksum"


def test_code_points_and_near_rows_and_leaks_have_their_lines() -> None:
    """R-DATA-5, R-DATA-6."""
    pairs = [{"test": {"line": 2}, "train": {"line": 40}}]
    told = findings(
        known(
            near_duplicates={"num_rows": 2, "num_groups": 1, "groups": [{"places": places(4, 6, 9)}]},
            code_points={"num_rows": 3, "code_points": [{"places": places(8, 9)}, {"places": places(2, 8)}]},
            leakage={
                "exact": {"num_test_rows": 2, "pairs": pairs},
                "near": {"num_test_rows": 1, "pairs": pairs},
            },
        )
    )
    assert told["duplicates"] == "0 rows, and 2 nearly (train 4, 6, 9)"
    assert told["code points"] == "3 rows with Arabic ones (train 2, 8, 9)"
    assert told["leaks"] == "2 test rows (test 2 = train 40 …), 1 nearly (test 2 = train 40)"


def test_one_is_singular() -> None:
    assert (counted(1, "bank card"), counted(0, "row"), counted(2, "e-mail address")) == (
        "1 bank card",
        "0 rows",
        "2 e-mail addresses",
    )
