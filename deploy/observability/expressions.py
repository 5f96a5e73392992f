"""Every query that we ship, and what it asks for: read by tests and by the trial against a real Prometheus."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import promql_parser as promql
import yaml

FOLDER = Path(__file__).parent
_CHOSEN = {"$__rate_interval": "1m", "$process": ".*", "$instance": ".*", "$place": ".*"}
"""What Grafana puts in."""
_COMPARING = {"==", "!=", ">", "<", ">=", "<=", "and", "or", "unless"}


@dataclass(frozen=True)
class Query:
    """One query, and where it stands: `serving: Batch` or `alerts: SimorghGpuHot`."""

    where: str
    text: str

    def metrics(self) -> set[str]:
        """The metrics that it asks for.

        Raises: ValueError where it is no PromQL.
        """
        return set(_names(promql.parse(self.text)))

    def operands(self) -> list[str]:
        """What it compares: an alert finds nothing while all is well, but what it looks at has to be there."""
        return list(_operands(promql.parse(self.text)))


def of_panels(rate_interval: str = _CHOSEN["$__rate_interval"]) -> list[Query]:
    """Those of all dashboards, with the variables filled in."""
    found = []
    for path in sorted((FOLDER / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                text = target["expr"]
                for variable, value in (_CHOSEN | {"$__rate_interval": rate_interval}).items():
                    text = text.replace(variable, value)
                found.append(Query(f"{path.stem}: {panel['title']}", text))
    return found


def of_rules() -> list[Query]:
    """Those of all rules."""
    return [Query(f"{name}: {rule.get('alert') or rule['record']}", rule["expr"]) for name, rule in rules()]


def rules() -> Iterator[tuple[str, dict[str, str]]]:
    """Each rule with the name of its file."""
    for path in sorted((FOLDER / "rules").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield path.stem, rule


def _operands(expression: promql.Expr) -> Iterator[str]:
    match expression:
        case promql.BinaryExpr() if str(expression.op) in _COMPARING:
            yield from _operands(expression.lhs)
            yield from _operands(expression.rhs)
        case promql.ParenExpr():
            yield from _operands(expression.expr)
        case promql.Call() if expression.func.name == "absent":
            yield from _operands(expression.args[0])
        case _ if set(_names(expression)):
            yield expression.prettify()


def _names(expression: promql.Expr) -> Iterator[str]:
    match expression:
        case promql.VectorSelector():
            yield expression.name or ""  # one without a name is none that there is
        case promql.MatrixSelector():
            yield expression.vector_selector.name or ""
        case promql.BinaryExpr():
            yield from _names(expression.lhs)
            yield from _names(expression.rhs)
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            yield from _names(expression.expr)
        case promql.Call():
            for argument in expression.args:
                yield from _names(argument)
