"""Owns what every command takes: where the API is, who asks, and whether the answer is for a program."""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx
from click.core import ParameterSource

from simorgh_cli.api.accounts import ApiKey
from simorgh_cli.api.connection import Connection, Credentials
from simorgh_cli.logins import KeptLogin, Logins, Place
from simorgh_cli.terminal.text import whole
from simorgh_shared.domain.errors import InvalidInputError


@dataclass(frozen=True)
class Invocation:
    """What a command was told."""

    environment: Mapping[str, str]
    url: str | None
    data_dir: Path
    data_given: bool
    """Whether the data folder was named, and not the default one."""
    as_json: bool

    @property
    def logins(self) -> Logins:
        """Who is signed in where."""
        return Logins(self.environment)

    @property
    def api_key(self) -> str | None:
        """The key that the environment gives."""
        return self.environment.get("SIMORGH_API_KEY") or None

    def place(self) -> Place:
        """The API: the named one, that of the named data folder, the newest login's, that of the default folder.

        Raises: InvalidInputError where there is none of these, or it is only starting.
        """
        if self.url is not None:
            return Place(self.url)
        login = None if self.data_given else self.logins.current()
        if login is None:
            found = running_place(self.data_dir)
        else:
            found = (login.data_dir and running_place(Path(login.data_dir))) or Place(login.url, login.data_dir)
        if found is None:
            code = "address_to_come" if _is_held(self.data_dir) else "no_address"
            raise InvalidInputError(code, folder=str(self.data_dir.resolve()))
        return found

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """The API, asked as whoever is signed in."""
        place = self.place()
        credentials: Credentials = ApiKey(self.api_key) if self.api_key else KeptLogin(self.logins, place)
        with Connection(place.url, credentials) as connection:
            yield connection


class ListingGroup(click.Group):
    """Commands about one kind of thing; without a command it lists them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` where no command stands."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def asks_api(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """Give a command the options that all have; its first argument becomes the invocation."""

    @click.option("--url", callback=_url, help="The API (default: SIMORGH_URL, else where you signed in last).")
    @data_option
    @click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")
    @click.pass_context
    @functools.wraps(command)
    def invoked(context: click.Context, /, *, url: str | None, data: Path, as_json: bool, **options: Any) -> int | None:
        named = context.get_parameter_source("data") is not ParameterSource.DEFAULT
        return command(Invocation(context.obj, url, data, named, as_json), **options)

    return invoked


def data_option(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """The option that names a data folder."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path),
        envvar="SIMORGH_DATA_DIR",
        default=Path("data"),
        metavar="DIR",
        help="The data folder (default: SIMORGH_DATA_DIR, else ./data).",
    )(command)


def running_place(data_dir: Path) -> Place | None:
    """The API of the platform that runs on a data folder."""
    from simorgh_cli import lock
    from simorgh_cli.platform import endpoints_file

    folder = data_dir.resolve()
    try:
        if not lock.is_held(folder):
            return None
        known = json.loads(endpoints_file(folder).read_text())
    except (OSError, ValueError):
        return None
    return Place(str(known["api_url"]), str(folder))


def _is_held(data_dir: Path) -> bool:
    from simorgh_cli import lock

    try:
        return lock.is_held(data_dir.resolve())
    except OSError:
        return False


class Text(click.ParamType[str]):
    """Text that can be sent: an argument may hold bytes that are none."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text without those bytes."""
        del param, ctx
        return whole(str(value))


TEXT = Text()


def _url(context: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    address = given or context.obj.get("SIMORGH_URL")
    if not address:
        return None
    try:
        parsed = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise click.BadParameter(f"{address!r} is no address: {error}.", context, parameter) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise click.BadParameter(f"{address!r} is no address such as http://127.0.0.1:8000.", context, parameter)
    return str(parsed).rstrip("/")
