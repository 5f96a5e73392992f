"""Writes the chart's README.md from values.yaml (the defaults) and values.schema.json (what each value means).

`make chart-readme` runs it; a test compares what it writes with what lies there.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "simorgh"
HEAD = """# The chart simorgh

Made from values.yaml and values.schema.json by `make chart-readme`: change those. How to install, upgrade and roll
back, and what each choice means, is in [docs/kubernetes.md](../../../docs/kubernetes.md).

The schema refuses values that are not described here. Values of a process stand under its name: what all processes
have is described once, with the defaults of each in a table of its own.
"""
PROCESS = "processes"
Json = dict[str, Any]


def readme(schema: Json, values: Json) -> str:
    """The whole text."""
    parts = [HEAD]
    simple = {name: part for name, part in schema["properties"].items() if "properties" not in part}
    parts.append("\n## General\n\n" + _table(_rows(schema, {"properties": simple}, values, "")))
    for name, part in schema["properties"].items():
        if name == PROCESS:
            parts.append(_processes(schema, part, values[name]))
        elif name not in simple:
            rows = _rows(schema, part, values.get(name, {}), f"{name}.")
            parts.append(f"\n## {name}\n\n{part['description']}\n\n{_table(rows)}")
    return "".join(parts)


def resolved(schema: Json, part: Json) -> Json:
    """A part of the schema with what it refers to; what it says itself goes first."""
    if "$ref" not in part:
        return part
    target = schema["$defs"][part["$ref"].removeprefix("#/$defs/")]
    return resolved(schema, target) | {name: value for name, value in part.items() if name != "$ref"}


def _rows(schema: Json, part: Json, values: Json, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """Name, type, default and description of each value below `part`."""
    for name, given in part["properties"].items():
        value = resolved(schema, given)
        if "properties" in value:
            yield from _rows(schema, value, values.get(name, {}), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _type(value), _code(values.get(name)), value["description"]


def _processes(schema: Json, part: Json, values: Json) -> str:
    shared = set.intersection(*(set(process["properties"]) for process in part["properties"].values()))
    lines = [f"\n## {PROCESS}\n\n{part['description']}\n"]
    first = next(iter(part["properties"].values()))
    common = {"properties": {name: value for name, value in first["properties"].items() if name in shared}}
    rows = [(name, kind, what) for name, kind, _, what in _rows(schema, common, {}, f"{PROCESS}.NAME.")]
    lines.append("\n" + _table(rows, ("value", "type", "meaning")))
    for name, process in part["properties"].items():
        lines.append(f"\n### {PROCESS}.{name}\n\n{process['description']}\n\n")
        own = {key: value for key, value in process["properties"].items() if key not in shared}
        prefix = f"{PROCESS}.{name}."
        rows_of_all = _rows(schema, common, values[name], prefix)
        filled = [
            (at, kind, default, "") for at, kind, default, _ in rows_of_all if default not in {"", "`{}`", "`[]`"}
        ]
        lines.append(_table([*_rows(schema, {"properties": own}, values[name], prefix), *filled]))
    return "".join(lines)


def _type(value: Json) -> str:
    if "enum" in value:
        return " or ".join(f"`{choice}`" for choice in value["enum"])
    return str(value["type"])


def _code(default: Any) -> str:
    """A default as it stands in a table: nothing for an empty text."""
    return "" if default in ("", None) else f"`{json.dumps(default) if not isinstance(default, str) else default}`"


def _table(rows: Any, head: tuple[str, ...] = ("value", "type", "default", "meaning")) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def main() -> None:
    """Write README.md into the chart."""
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    (CHART / "README.md").write_text(readme(schema, values), encoding="utf-8")


if __name__ == "__main__":
    main()
