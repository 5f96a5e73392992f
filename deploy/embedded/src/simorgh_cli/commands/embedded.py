"""`simorgh up` and `simorgh quickstart`: the platform on this machine."""

from collections.abc import Mapping
from pathlib import Path

import click

from simorgh_cli.commands.options import data_option
from simorgh_cli.platform import Platform, running_platform
from simorgh_cli.terminal.output import say


@click.command()
@data_option
@click.pass_obj
def up(environment: Mapping[str, str], data: Path) -> int:
    """Start the whole platform on this machine and keep it up until Ctrl-C."""
    with running_platform(data, environment, say) as platform:
        if not platform.supervisor.stopping:
            say(summary(platform))
            platform.supervisor.watch()
    return 0


@click.command()
@data_option
@click.pass_obj
def quickstart(environment: Mapping[str, str], data: Path) -> int:
    """Start the platform, train a small Persian model and talk to it."""
    from simorgh_cli.quickstart import run

    return run.quickstart(data, environment)


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
