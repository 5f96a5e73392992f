"""`simorgh login` and `simorgh logout`."""

import sys
from pathlib import Path
from typing import Any

import click
import httpx

from simorgh_cli.api import accounts
from simorgh_cli.api.accounts import ApiKey
from simorgh_cli.api.connection import Connection
from simorgh_cli.api.errors import LostError, RefusedError
from simorgh_cli.backing.secrets import SecretStore
from simorgh_cli.commands.options import TEXT, Invocation, asks_api, running_place
from simorgh_cli.logins import KeptLogin, Login, Place
from simorgh_cli.terminal.output import note, say, write_json
from simorgh_shared.domain.errors import InvalidInputError, UnauthenticatedError


@click.command()
@click.option("--email", type=TEXT, help="Your e-mail address; it is asked for where there is a terminal.")
@click.option("--name", type=TEXT, help="Your name, for a new account.")
@click.option("--api-key", help="Use an API key instead (default: SIMORGH_API_KEY).")
@click.option("--local", is_flag=True, help="Sign in as the quick start's user of the data folder.")
@click.option(
    "--if-needed", is_flag=True, help="Only where you are not signed in: nobody is asked, nothing is changed."
)
@asks_api
def login(
    invocation: Invocation, email: str | None, name: str | None, api_key: str | None, local: bool, if_needed: bool
) -> int:
    """Sign in to a platform, or make an account there.

    The password is asked for without echo, or taken from SIMORGH_PASSWORD. An address without an account gets one.
    """
    if sum((local, email is not None, api_key is not None)) > 1:
        raise click.UsageError("--email, --api-key and --local exclude each other: give one of them.")
    if if_needed and (found := _signed_in(invocation)) is not None:
        _tell(invocation, *found)
        return 0
    place = _place(invocation)
    key = api_key or (None if email or local else invocation.api_key)
    with Connection(place.url, ApiKey(key) if key else None) as connection:
        if key is not None:
            made, who = Login(place.url, place.data_dir, api_key=key), accounts.whoami(connection)
            shown, project = str(who["user"]["email"]), str(who["project_id"])
        else:
            signed_in = _local(connection, place) if local else _with_password(invocation, connection, email, name)
            shown, project = str(signed_in["user"]["email"]), str(signed_in["project_id"])
            made = Login(place.url, place.data_dir, email=shown).with_tokens(signed_in)
    invocation.logins.keep(made)
    _tell(invocation, place.url, shown, project)
    return 0


@click.command()
@asks_api
def logout(invocation: Invocation) -> int:
    """Sign out: the session ends, and nothing is kept here."""
    place = invocation.place()
    kept = invocation.logins.find(place)
    if kept is None:
        note(f"You are not signed in at {place.url}.")
        return 0
    try:
        if kept.api_key is None:
            with Connection(place.url, KeptLogin(invocation.logins, place)) as connection:
                accounts.sign_out(connection)
    except (LostError, RefusedError) as error:
        note(f"The session could not be ended there, only forgotten here: {error}")
    invocation.logins.forget(place)
    if invocation.as_json:
        write_json({"url": place.url, "signed_out": True})
    else:
        say(f"Signed out of {place.url}.")
    return 0


def _place(invocation: Invocation) -> Place:
    """The named API, or that of the data folder; only then the one of the login before."""
    if invocation.url is not None:
        return invocation.place()
    return running_place(invocation.data_dir) or invocation.place()


def _signed_in(invocation: Invocation) -> tuple[str, str, str] | None:
    """Where other commands would ask, as whom and in which project; None where they would be told to sign in."""
    try:
        with invocation.connected() as connection:
            who = accounts.whoami(connection)
            return connection.url, str(who["user"]["email"]), str(who["project_id"])
    except UnauthenticatedError:
        return None
    except RefusedError as error:
        if error.status != httpx.codes.UNAUTHORIZED or invocation.api_key is not None:
            raise
        return None


def _tell(invocation: Invocation, url: str, email: str, project: str) -> None:
    if invocation.as_json:
        write_json({"url": url, "email": email, "project_id": project})
    else:
        say(f"Signed in to {url} as {email} (project {project}).")


def _local(connection: Connection, place: Place) -> dict[str, Any]:
    if place.data_dir is None:
        raise click.UsageError("--local needs a platform of this machine: name its data folder with --data.")
    store = SecretStore(Path(place.data_dir) / "secrets.json")
    return accounts.sign_in_local(connection, store.get("local_user_password"))


def _with_password(
    invocation: Invocation, connection: Connection, email: str | None, name: str | None
) -> dict[str, Any]:
    can_ask = sys.stdin.isatty()
    address = email or (click.prompt("E-mail", err=True) if can_ask else "")
    given = invocation.environment.get("SIMORGH_PASSWORD")
    if not address or not (given or can_ask):
        missing = "password" if address else "e-mail address"
        raise InvalidInputError("login_incomplete", missing=missing)
    password = given or click.prompt("Password", hide_input=True, err=True)
    try:
        return accounts.sign_in(connection, address, password)
    except RefusedError as wrong:
        if wrong.code != "wrong_credentials":
            raise
        if not given:
            note("There is no such account, or the password is wrong. To make a new account, type the password again.")
            if (
                click.prompt("Password again (empty: no)", hide_input=True, default="", show_default=False, err=True)
                != password
            ):
                raise
        return _registered(connection, address, password, name, wrong)


def _registered(
    connection: Connection, email: str, password: str, name: str | None, wrong: RefusedError
) -> dict[str, Any]:
    try:
        made = accounts.register(connection, email, password, name)
    except RefusedError as error:
        raise (wrong if error.code == "email_taken" else error) from None
    note(f"Made an account for {email}.")
    return made
