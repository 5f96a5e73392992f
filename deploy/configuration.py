"""Writes docs/configuration.md from the settings classes: `make configuration`. Each variable stands there once."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from simorgh_api.dispatcher.settings import DispatcherSettings
from simorgh_api.settings import ApiSettings
from simorgh_inference.settings import RegistrySettings, ServerSettings
from simorgh_shared.backup.settings import BackupSettings
from simorgh_shared.secret_files import is_secret
from simorgh_shared.settings import MigrationSettings, SimorghSettings
from simorgh_trainer.settings import TrainerSettings
from simorgh_voice.settings import VoiceSettings

PAGE = Path(__file__).resolve().parents[1] / "docs/configuration.md"
PREFIX = "SIMORGH_"
PROCESSES: Mapping[str, tuple[type[SimorghSettings], ...]] = {
    "api": (ApiSettings,),
    "dispatcher": (DispatcherSettings,),
    "trainer-worker": (TrainerSettings,),
    "inference": (ServerSettings, RegistrySettings),
    "voice": (VoiceSettings,),
    "migrate": (MigrationSettings,),
    "backup": (BackupSettings,),
    "restore": (BackupSettings,),
}
"""By the program: `trainer-worker` is trainer-cpu, trainer-gpu and io; `voice` is voice-cpu and voice-gpu."""
OTHERS = {
    "SIMORGH_URL": ("command line", "The API that the command line speaks to; else where one signed in last."),
    "SIMORGH_API_KEY": ("command line", "A key to use in place of signing in. Secret."),
    "SIMORGH_PASSWORD": ("command line", "The password of `simorgh login`, where there is no terminal. Secret."),
    "SIMORGH_DATA_DIR": ("command line", "The folder of `simorgh up`; `./data` else."),
    "OTEL_EXPORTER_OTLP_ENDPOINT": (
        "every process",
        "Where traces go; none: nowhere. OpenTelemetry's other variables hold too ([monitoring](monitoring.md)).",
    ),
    "SIMORGH_PARENT_PID": ("children", "Set by a process for the children that it starts, so that they end with it."),
}
"""Read without a settings class."""
_UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes": "bytes", "_days": "days", "_tokens": "tokens"}
_UNITS |= {"_hours": "hours", "_chars": "characters", "_watts": "watts", "_percent": "percent"}
_PER_SECOND = "_per_s"
_INTRODUCTION = """\
# Configuration

Made from the settings classes by `make configuration`; a test tells when it is stale. Processes read variables alone,
and each one reads only those that name it below. `trainer-worker` is the program of trainer-cpu, trainer-gpu and io,
`voice` that of voice-cpu and voice-gpu.

- What is not given has its default; *needed* means that the process does not start without it.
- A **secret** can also lie in a file: `SIMORGH_NAME_FILE` names it in place of `SIMORGH_NAME`. So compose gives all
  secrets: they stand in no variable, no image and no process list. The variable itself goes first.
- Lists are separated by commas. Sizes and times are plain numbers in the unit that the table tells.
- `simorgh up` makes keys and addresses itself, and takes any of these variables from its own environment.
"""


@dataclass
class Variable:
    """One variable, and all processes that read it."""

    field: FieldInfo
    meaning: str
    processes: list[str]

    @property
    def secret(self) -> bool:
        """Whether it may come as a file."""
        return is_secret(self.field.annotation)


@cache
def variables() -> dict[str, Variable]:
    """All variables of the settings classes, by name. Nobody may change them.

    Raises: ValueError for one that has two defaults.
    """
    found: dict[str, Variable] = {}
    for process, classes in PROCESSES.items():
        for settings in classes:
            for name, field in settings.model_fields.items():
                meaning, variable = _meaning(settings, name), f"{PREFIX}{name.upper()}"
                known = found.setdefault(variable, Variable(field, meaning, []))
                if known.field.default != field.default:
                    raise ValueError(f"{variable} has another default for {process} than for {known.processes}")
                if meaning not in known.meaning:
                    known.meaning = f"{known.meaning} {meaning}".strip()
                if process not in known.processes:
                    known.processes.append(process)
    return found


def unexplained() -> list[str]:
    """Those without a docstring under their field."""
    return [name for name, variable in variables().items() if not variable.meaning]


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, variable in variables().items():
        groups.setdefault(tuple(variable.processes), []).append(_row(name, variable))
    for processes, rows in sorted(groups.items(), key=lambda group: -len(group[0])):
        readers = "every process" if len(processes) == len(PROCESSES) else ", ".join(processes)
        parts.append(_table(f"Read by {readers}", ("variable", "default", "unit", "what it does"), rows))
    rows = [f"| `{name}` | {reader} | {meaning} |" for name, (reader, meaning) in OTHERS.items()]
    parts.append(_table("Beside the processes", ("variable", "read by", "what it does"), rows))
    return "\n".join(parts)


def _table(title: str, columns: Sequence[str], rows: Sequence[str]) -> str:
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"
    return "\n".join([f"## {title}", head, *rows, ""])


def _row(name: str, variable: Variable) -> str:
    meaning = f"**Secret.** {variable.meaning}" if variable.secret else variable.meaning
    return f"| `{name}` | {_default(variable.field)} | {_unit(name)} | {meaning}{_choices(variable.field)} |"


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "none" if field.default_factory is not None else "*needed*"
    if field.default is None:
        return "none"
    value = field.default.value if isinstance(field.default, Enum) else field.default
    return f"`{str(value).lower() if isinstance(value, bool) else _plain(value)}`"


def _plain(value: Any) -> str:
    return (
        f"{value:g}"
        if isinstance(value, float) and value < 1e6
        else f"{value:.0f}"
        if isinstance(value, float)
        else str(value)
    )


def _unit(name: str) -> str:
    lower = name.lower()
    if lower.endswith(_PER_SECOND):
        return "a second"
    return next((unit for suffix, unit in _UNITS.items() if lower.endswith(suffix)), "")


def _choices(field: FieldInfo) -> str:
    kind = field.annotation
    if get_origin(kind) is Literal:
        values = [str(value) for value in get_args(kind)]
    elif isinstance(kind, type) and issubclass(kind, Enum):
        values = [str(member.value) for member in kind]
    else:
        return ""
    return f" One of {', '.join(f'`{value}`' for value in values)}."


def _meaning(settings: type[SimorghSettings], name: str) -> str:
    """The docstring under the field, in the class that has it."""
    for owner in settings.__mro__:
        if name in vars(owner).get("__annotations__", {}):
            return _docstrings(owner).get(name, "")
    return ""


@cache
def _docstrings(owner: type) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found = {}
    for field, told in pairwise(body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(told, ast.Expr)):
            continue
        if isinstance(told.value, ast.Constant) and isinstance(told.value.value, str):
            found[field.target.id] = " ".join(told.value.value.split())
    return found


if __name__ == "__main__":
    if missing := unexplained():
        sys.exit(f"without a docstring under its field: {', '.join(missing)}")
    PAGE.write_text(page(), "utf-8")
