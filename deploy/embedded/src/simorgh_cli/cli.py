"""The `simorgh` command line: finds the command, and turns expected failures into sentences and exit codes."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import click

from simorgh_cli.environment import inherited
from simorgh_shared.domain.errors import AppError

_COMMANDS: Mapping[str, str] = {
    "up": "start the whole platform on this machine",
    "quickstart": "start it, train a small Persian model and talk to it",
    "doctor": "check this machine, and say what to do about what is wrong",
    "login": "sign in to a platform, or make an account there",
    "logout": "sign out",
    "keys": "make, list and end API keys",
    "datasets": "upload, list, look at and delete datasets",
    "train": "start, steer and list training runs",
    "watch": "follow a training run live",
    "chat": "talk to a model",
    "transcribe": "write down what is said in an audio file",
    "speak": "have a text spoken into an audio file",
    "evaluate-speech": "compare models by what they hear in an audio set",
    "optimize": "make a smaller or faster form of a model, measured before and after",
    "optimizations": "list them, show their reports, and measure those again",
    "jobs": "list and cancel jobs of every kind",
    "models": "upload, list, look at, trace, promote, roll back, download and delete models",
    "backup": "back up a platform's database and files, while it runs",
    "restore": "bring a backup back into an empty platform",
    "status": "show a platform's processes or parts, and its active jobs",
}
_MODULES: Mapping[str, str] = {"up": "embedded", "quickstart": "embedded", "logout": "login", "restore": "backup"}
_INTERRUPTED = 130


class _Commands(click.Group):
    """Loads a command's module when it is called: `status` need not wait for what `chat` imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order in which one needs them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command."""
        if cmd_name not in _COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        module = import_module(f"simorgh_cli.commands.{_MODULES.get(cmd_name, name)}")
        command = getattr(module, name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help text, without loading anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


root = _Commands("simorgh", help="Train, serve and talk to your own models.")
click.version_option(package_name="simorgh-cli", message="simorgh %(version)s")(root)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `simorgh`."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a locale without Persian letters
    given = inherited()
    try:
        answer = root.main(
            list(arguments) if arguments is not None else None, "simorgh", obj=given, standalone_mode=False
        )
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return _INTERRUPTED
    except AppError as error:
        sys.stderr.write(f"simorgh: {error}\n" + "".join(f"  {detail}\n" for detail in error.details))
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end
        return 1
    return answer if isinstance(answer, int) else 0


if __name__ == "__main__":
    sys.exit(main())
