"""Checks of the API that one would use: whether it answers, its parts, its clock, and who is signed in."""

import stat
import time
from email.utils import parsedate_to_datetime

from simorgh_cli.api.accounts import whoami
from simorgh_cli.api.connection import Connection
from simorgh_cli.commands.options import Invocation
from simorgh_cli.commands.status import ask_parts
from simorgh_cli.doctor.findings import Finding, ok, remark, wrong
from simorgh_shared.domain.errors import AppError, InvalidInputError, UnauthenticatedError

_CLOCK_S = 30.0  # the Date header has whole seconds, and storage refuses requests that are 15 minutes off
_OPTIONAL_PARTS = frozenset({"broker"})


def api(invocation: Invocation) -> list[Finding]:
    """The API of the invocation; that there is none yet is no fault."""
    try:
        place = invocation.place()
    except InvalidInputError:
        return [remark("api", "no platform runs here, and you are signed in nowhere", "Start one with: simorgh up")]
    try:
        with Connection(place.url) as connection:
            parts = ask_parts(connection)
            found = [ok("api", f"{place.url} answers"), *(_part(name, state) for name, state in parts.items())]
            found.append(_clock(connection))
    except AppError as error:
        if invocation.url is None and place.data_dir is not None:
            return [remark("api", f"the platform on {place.data_dir} is not up", "Start it with: simorgh up")]
        return [wrong("api", f"{place.url} does not answer", str(error))]
    return [*found, _login(invocation)]


def login_file(invocation: Invocation) -> Finding:
    """Whether others can read the tokens."""
    path = invocation.logins.path
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        invocation.logins.current()
    except FileNotFoundError:
        return ok("login file", "there is none yet")
    except (OSError, AppError) as error:
        return wrong("login file", str(error), f"Delete {path} and sign in again.")
    if mode & 0o077:
        return wrong("login file", f"others may read {path} (mode {mode:o})", f"chmod 600 {path}")
    return ok("login file", str(path))


def _part(name: str, state: str) -> Finding:
    if state == "ok":
        return ok(f"api: {name}", "ok")
    if name in _OPTIONAL_PARTS:
        return remark(f"api: {name}", state, "Work goes on, but begins later than it could.")
    return wrong(f"api: {name}", state, "simorgh status shows the processes, the logs folder what they said.")


def _clock(connection: Connection) -> Finding:
    before = time.time()
    answer = connection.ask_anonymously("GET", "/livez")
    here = (before + time.time()) / 2
    try:
        there = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return remark("clock", "the API does not tell its time")
    off_s = there + 0.5 - here  # on average half a second of the header is lost
    if abs(off_s) > _CLOCK_S:
        which = "ahead of" if off_s > 0 else "behind"
        advice = "Set both by NTP: signatures of storage requests are refused beyond 15 minutes."
        return remark("clock", f"the API's is {abs(off_s):.0f} s {which} this one", advice)
    return ok("clock", f"within {max(1.0, abs(off_s)):.0f} s of the API's")


def _login(invocation: Invocation) -> Finding:
    try:
        with invocation.connected() as connection:
            return ok("login", f"signed in as {whoami(connection)['user']['email']}")
    except UnauthenticatedError:
        return remark("login", "you are not signed in there", "simorgh login")
    except AppError as error:
        return wrong("login", str(error), "simorgh login")
