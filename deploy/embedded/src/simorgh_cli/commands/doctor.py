"""`simorgh doctor`: checks this machine and the platform, and says what to do."""

import sys
from collections.abc import Iterator
from dataclasses import asdict

import click
from rich.console import Console
from rich.text import Text

from simorgh_cli.commands.options import Invocation, asks_api
from simorgh_cli.doctor import machine, servers, service, voice
from simorgh_cli.doctor.findings import Finding, Level
from simorgh_cli.terminal.output import write_json
from simorgh_cli.terminal.text import printable

_MARKS = {Level.OK: ("ok   ", "green"), Level.NOTE: ("note ", "yellow"), Level.WRONG: ("WRONG", "bold red")}


@click.command()
@asks_api
def doctor(invocation: Invocation) -> int:
    """Check this machine and the platform, and say what to do about what is wrong.

    Ends with 1 when something that is needed does not work. Nothing is changed.
    """
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    findings = []
    for finding in _look(invocation):
        findings.append(finding)
        if not invocation.as_json:
            mark, style = _MARKS[finding.level]
            console.print(Text(mark, style=style), Text(f"{finding.name:<16} {printable(finding.found)}"))
            if finding.advice:
                console.print(Text(f"      → {printable(finding.advice)}"))
    wrong = [finding for finding in findings if finding.level is Level.WRONG]
    if invocation.as_json:
        write_json({"ok": not wrong, "checks": [asdict(finding) for finding in findings]})
    else:
        console.print(
            f"{len(wrong)} of {len(findings)} checks found something wrong." if wrong else "Nothing is wrong."
        )
    return 1 if wrong else 0


def _look(invocation: Invocation) -> Iterator[Finding]:
    environment, data_dir = invocation.environment, invocation.data_dir
    yield machine.python()
    yield machine.torch()
    yield machine.espeak()
    yield machine.memory()
    yield machine.processor()
    yield machine.threads(environment)
    yield machine.gpu()
    folder = servers.data_folder(data_dir)
    yield folder
    yield servers.disk(data_dir)
    yield servers.ports(environment, data_dir)
    if folder.level is not Level.WRONG:  # it would only say the same again
        yield servers.database(environment, data_dir)
    yield from servers.programs(environment)
    yield service.login_file(invocation)
    yield from service.api(invocation)
    yield from voice.voice(invocation)
