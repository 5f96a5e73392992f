"""The few kinds of panels that our dashboards are made of, and how a dashboard is laid out. No query stands here."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as Timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, VisibilityMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode, VariableRefresh

_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_GRID_WIDTH = 24


@dataclass(frozen=True)
class Panel:
    """A chart, or a number where `is_number`; queries by what the legend calls their series."""

    title: str
    says: str
    unit: str
    queries: Mapping[str, str]
    is_number: bool = False
    most: float | None = None
    """The top of the axis, for shares."""
    bad_above: float | None = None
    bad_below: float | None = None


@dataclass(frozen=True)
class Section:
    """A row of the dashboard with its panels, four numbers or three charts side by side."""

    title: str
    panels: Sequence[Panel]


def chart(
    title: str,
    says: str,
    unit: str,
    queries: Mapping[str, str],
    *,
    most: float | None = None,
    bad_above: float | None = None,
) -> Panel:
    """A chart over time."""
    return Panel(title, says, unit, queries, most=most, bad_above=bad_above)


def number(
    title: str, says: str, unit: str, query: str, *, bad_above: float | None = None, bad_below: float | None = None
) -> Panel:
    """The newest value, large."""
    return Panel(title, says, unit, {"": query}, is_number=True, bad_above=bad_above, bad_below=bad_below)


def quantiles(metric: str, by: str = "", where: str = "", of: Sequence[float] = (0.5, 0.95, 0.99)) -> dict[str, str]:
    """Queries for quantiles of a histogram, by the labels that are named (`"queue, lane"`)."""
    labels = f"le, {by}" if by else "le"
    named = " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(",") if by)
    rate = f"sum by ({labels}) (rate({metric}_bucket{{{where}}}[$__rate_interval]))".replace("{}", "")
    return {f"p{share * 100:g} {named}".strip(): f"histogram_quantile({share:g}, {rate})" for share in of}


def dashboard(
    uid: str, title: str, says: str, sections: Sequence[Section], variables: Mapping[str, str] | None = None
) -> str:
    """The JSON of a dashboard. `variables` are queries of labels' values; the user chooses one value of each."""
    made = (
        Dashboard(title)
        .uid(uid)
        .description(says)
        .tags(["simorgh"])
        .refresh("15s")
        .time("now-1h", "now")
        .timezone("browser")
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for name, query in (variables or {}).items():
        chosen = QueryVariable(name).label(name).datasource(_SOURCE).query(query)
        made = made.with_variable(chosen.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED))
    numbers = itertools.count(1)
    for section in sections:
        made = made.with_row(Row(section.title).id(next(numbers)))
        for panel in section.panels:
            made = made.with_panel(_built(panel).id(next(numbers)))
    return JSONEncoder(sort_keys=True, indent=1).encode(made.build()) + "\n"


def _built(panel: Panel) -> Stat | Timeseries:
    built: Any = Stat() if panel.is_number else Timeseries()
    built = built.title(panel.title).description(panel.says).unit(panel.unit).datasource(_SOURCE)
    built = built.span(_GRID_WIDTH // 4 if panel.is_number else _GRID_WIDTH // 3).height(4 if panel.is_number else 8)
    if panel.most is not None:
        built = built.min(0).max(panel.most)
    if panel.bad_above is not None or panel.bad_below is not None:
        built = built.thresholds(_thresholds(panel))
    if not panel.is_number:
        legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
        built = built.fill_opacity(8).show_points(VisibilityMode.NEVER).legend(legend.show_legend(True))
    for place, (legend_format, query) in enumerate(panel.queries.items()):
        target = Dataquery().expr(query).legend_format(legend_format or "__auto").ref_id(chr(ord("A") + place))
        built = built.with_target(target.instant() if panel.is_number else target.range())
    assert isinstance(built, Stat | Timeseries)
    return built


def _thresholds(panel: Panel) -> ThresholdsConfig:
    if panel.bad_above is not None:
        steps = [Threshold(None, "green"), Threshold(panel.bad_above, "red")]
    else:
        steps = [Threshold(None, "red"), Threshold(panel.bad_below, "green")]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
