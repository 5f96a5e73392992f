"""The `simorgh` command line: reads arguments and environment, and turns expected failures into sentences."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from simorgh_cli import lock
from simorgh_cli.environment import inherited
from simorgh_cli.platform import Platform, endpoints_file, running_platform
from simorgh_shared.domain.errors import AppError


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `simorgh`."""
    given = inherited()
    options = _parser(given).parse_args(arguments)
    try:
        match options.command:
            case "up":
                return up(options.data, given)
            case "status":
                return status(options.data)
            case _:
                from simorgh_cli.quickstart.run import quickstart

                return quickstart(options.data, given)
    except AppError as error:
        sys.stderr.write(f"simorgh: {error}\n")
        return 1


def up(data_dir: Path, given: Mapping[str, str]) -> int:
    """Start the platform and keep it up until Ctrl-C."""
    with running_platform(data_dir, given, say) as platform:
        if not platform.supervisor.stopping:
            say(summary(platform))
            platform.supervisor.watch()
    return 0


def status(data_dir: Path) -> int:
    """Show the processes of a running platform; 1 where none runs."""
    if not lock.is_held(data_dir):
        say(f"Nothing runs on {data_dir.resolve()}.")
        return 1
    if not endpoints_file(data_dir).exists():
        say(f"Simorgh is starting on {data_dir.resolve()} (pid {lock.read_holder(data_dir).get('pid')}).")
        return 0
    known = json.loads(endpoints_file(data_dir).read_text())
    say(f"API        {known['api_url']}  (documentation: {known['docs_url']})")
    say(f"supervisor pid {known['pid']}")
    for child in psutil.Process(known["pid"]).children():
        memory_mb = child.memory_info().rss // 1_000_000
        names = [name for name, pid in known["processes"].items() if pid == child.pid]
        say(f"{(names or [child.name()])[0]:<12} pid {child.pid:<8} {child.status():<10} {memory_mb} MB")
    return 0


def summary(platform: Platform) -> str:
    """Where everything is, for people."""
    return "\n".join(
        [
            "Simorgh is up.",
            f"  API            {platform.api_url}",
            f"  documentation  {platform.api_url}/docs",
            f"  data           {platform.data_dir}",
            f"  logs           {platform.data_dir / 'logs'}",
            "Ctrl-C stops it.",
        ]
    )


def say(text: str) -> None:
    """A line for people, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _parser(given: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simorgh", description="Train, serve and talk to your own models.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, described in (
        ("up", "start the whole platform on this machine"),
        ("quickstart", "start it, train a small Persian model and talk to it"),
        ("status", "show a running platform's processes"),
    ):
        command = commands.add_parser(name, help=described, description=described)
        command.add_argument(
            "--data",
            type=Path,
            default=Path(given.get("SIMORGH_DATA_DIR") or "data"),
            metavar="DIR",
            help="the data folder (default: SIMORGH_DATA_DIR, else ./data)",
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
