"""R-OPS-5: the dashboards that we ship are those of their source, and ask for metrics that there are."""

import json
from pathlib import Path

import pytest
from deploy.observability.source.generate import FOLDER, chart_files, dashboards

from deploy.observability import expressions
from tests.deploy.observability.registry import known_names

FILES = sorted((FOLDER / "dashboards").glob("*.json"))
PANELS = [(path.stem, panel) for path in FILES for panel in json.loads(path.read_text())["panels"]]


class TestFiles:
    def test_they_are_what_their_source_makes(self) -> None:
        """`make dashboards` was run after the last change."""
        assert {path.name: path.read_text() for path in FILES} == dashboards()

    def test_the_chart_carries_the_same(self) -> None:
        """R-DEPLOY-3: Helm reads no file outside its folder, so it has copies."""
        copies = chart_files()
        assert {path: path.read_text() for path in copies} == copies
        folders = {path.parent for path in copies}
        assert {path for folder in folders for path in folder.iterdir()} == set(copies)

    def test_there_is_one_for_each_part(self) -> None:
        assert {path.stem for path in FILES} == {"platform", "queues", "training", "serving", "voice"}

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_grafana_can_tell_its_panels_apart(self, path: Path) -> None:
        made = json.loads(path.read_text())
        numbers = [panel["id"] for panel in made["panels"]]
        assert len(set(numbers)) == len(numbers)
        assert made["uid"] == f"simorgh-{path.stem}"

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_no_panel_lies_on_another_or_beside_the_grid(self, path: Path) -> None:
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(path.read_text())["panels"]:
            at = panel["gridPos"]
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert not cells & taken, panel["title"]
            assert at["x"] + at["w"] <= 24, panel["title"]
            taken |= cells


class TestPanels:
    def test_each_says_what_it_shows(self) -> None:
        silent = [
            f"{name}: {panel['title']}" for name, panel in PANELS if not panel.get("description") and "targets" in panel
        ]
        assert silent == []

    def test_each_asks_for_metrics_that_there_are(self) -> None:
        """A renamed metric leaves an empty panel behind, which nobody would miss until it is needed."""
        known = known_names() | {rule["record"] for _, rule in expressions.rules() if "record" in rule}
        queries = expressions.of_panels()
        assert len(queries) > 80
        unknown = {query.where: query.metrics() - known for query in queries}
        assert {where: names for where, names in unknown.items() if names} == {}

    def test_most_of_what_we_count_is_shown_somewhere(self) -> None:
        """What nobody looks at need not be counted."""
        asked = set().union(*(query.metrics() for query in (*expressions.of_panels(), *expressions.of_rules())))
        shown = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in asked}
        own = {name for name in known_names() if name.startswith("simorgh_")}
        unseen = {
            name
            for name in own
            if name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") not in shown
        }
        assert unseen == set()
