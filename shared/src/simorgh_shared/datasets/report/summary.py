"""The figures of a version at a glance, and what a person should look at before training."""

from collections.abc import Iterator

from simorgh_shared.domain.messages import sentence
from simorgh_shared.schemas.statistics import DatasetStatistics, StatisticsSummary

_WHOLE_ROW = "row"


def summary_of(found: DatasetStatistics) -> StatisticsSummary:
    """The figures at a glance."""
    leakage = found.leakage
    return StatisticsSummary(
        characters=sum(field.characters.total for field in found.fields if field.field == _WHOLE_ROW),
        tokens=found.tokenizer.estimated_tokens if found.tokenizer else None,
        tokenizer=found.tokenizer.name if found.tokenizer else None,
        duplicate_rows=found.duplicates.num_rows,
        near_duplicate_rows=found.near_duplicates.num_rows,
        leaking_test_rows=leakage.exact.num_test_rows if leakage else None,
        near_leaking_test_rows=leakage.near.num_test_rows if leakage else None,
        languages=found.languages,
        foreign_code_point_rows=found.code_points.num_rows,
        personal_data={kind.kind: kind.count for kind in found.personal_data.kinds},
        warnings=list(warnings_of(found)),
    )


def warnings_of(found: DatasetStatistics) -> Iterator[str]:
    """What should be looked at, the gravest first."""
    leakage = found.leakage
    mixed = f"{found.code_points.num_mixed_rows:,}"
    counts = (
        ("statistics_personal", found.personal_data.num_rows),
        ("statistics_leak", leakage.exact.num_test_rows if leakage else 0),
        ("statistics_near_leak", leakage.near.num_test_rows if leakage else 0),
        ("statistics_duplicates", found.duplicates.num_rows),
        ("statistics_near_duplicates", found.near_duplicates.num_rows),
        ("statistics_code_points", found.code_points.num_rows),
    )
    for code, num_rows in counts:
        if num_rows:
            yield sentence(f"{code}_one" if num_rows == 1 else code, {"rows": f"{num_rows:,}", "mixed": mixed})
