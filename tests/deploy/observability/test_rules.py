"""R-OPS-5: alerts ask for what there is, say what to do, and fire when they should and at no other time."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.observability import expressions, promtool
from tests.deploy.observability.registry import known_names

ROOT = Path(__file__).parents[3]
ALERTS = {rule["alert"]: rule for _, rule in expressions.rules() if "alert" in rule}
RECORDED = {rule["record"] for _, rule in expressions.rules() if "record" in rule}


class TestRules:
    def test_each_asks_for_metrics_that_there_are(self) -> None:
        known = known_names() | RECORDED
        unknown = {query.where: query.metrics() - known for query in expressions.of_rules()}
        assert {where: names for where, names in unknown.items() if names} == {}

    def test_no_recorded_share_is_forgotten(self) -> None:
        """What is computed every 30 s is asked for somewhere."""
        queries = (*expressions.of_panels(), *expressions.of_rules())
        assert set().union(*(query.metrics() for query in queries)) >= RECORDED


class TestAlerts:
    @pytest.mark.parametrize("name", ALERTS)
    def test_it_says_how_urgent_it_is_how_long_it_waits_and_what_it_means(self, name: str) -> None:
        rule = ALERTS[name]
        assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"})
        assert re.fullmatch(r"\d+[mh]", rule["for"])
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}

    @pytest.mark.parametrize("name", ALERTS)
    def test_its_entry_in_the_runbook_is_there(self, name: str) -> None:
        path, _, anchor = ALERTS[name]["annotations"]["runbook_url"].partition("#")
        headings = re.findall(r"^## (\w+)$", (ROOT / path).read_text(), re.MULTILINE)
        assert anchor == name.lower()
        assert name in headings

    def test_the_runbook_has_no_entry_of_an_alert_that_is_gone(self) -> None:
        headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
        assert sorted(headings) == sorted(ALERTS)

    def test_each_entry_says_what_users_notice_or_what_to_do(self) -> None:
        text = (ROOT / "docs" / "runbook.md").read_text()
        entries = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
        assert [
            name
            for name, entry in entries.items()
            if "*Do:*" not in entry and "As [above]" not in entry and "As [Sim" not in entry
        ] == []

    def test_each_is_tried_quiet_and_firing(self) -> None:
        """The files that `make observe-test` gives to promtool."""
        tried: dict[str, set[bool]] = {}
        for path in (expressions.FOLDER / "rule_tests").glob("*.yaml"):
            for test in yaml.safe_load(path.read_text())["tests"]:
                for one in test["alert_rule_test"]:
                    tried.setdefault(one["alertname"], set()).add(bool(one["exp_alerts"]))
        assert tried == {name: {True, False} for name in ALERTS}

    def test_promtool_finds_them_right(self) -> None:
        """Each alert fires when it should, with the words that a person is to read."""
        found = promtool.find("promtool")
        if found is None:
            pytest.skip(f"no promtool on the PATH or by {promtool.VARIABLE}; `make observe-test` fetches Debian's")
        for command in promtool.commands(found):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
