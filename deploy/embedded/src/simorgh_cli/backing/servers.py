"""Owns the embedded servers together: one data folder, one start, one set of addresses."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from simorgh_cli.backing import postgres, seaweed, valkey
from simorgh_cli.backing.ports import Ports, is_free
from simorgh_cli.backing.postgres import Login
from simorgh_cli.backing.secrets import SecretStore
from simorgh_cli.children import Child
from simorgh_shared.domain.errors import UnavailableError

ALL = ("postgres", "valkey", "seaweed")
_NUM_PORT_TRIALS = 3


@dataclass(frozen=True)
class Endpoints:
    """Where the services find database, broker and storage."""

    database_url: str
    """SQLAlchemy form, application role."""
    database_owner_url: str
    """SQLAlchemy form, owner role: for migrations only."""
    database_app_role: str
    redis_url: str
    s3_endpoint_url: str
    s3_access_key_id: str
    s3_secret_access_key: str
    s3_bucket: str
    s3_region: str


class BackingServers:
    """PostgreSQL, Valkey and SeaweedFS in a data folder. Start them from a thread that lives on."""

    def __init__(self, data_dir: Path, *, durable: bool = True, only: Collection[str] = ALL) -> None:
        self.data_dir = data_dir.resolve()
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.ports = Ports(self.data_dir / "ports.json")
        self.secrets = SecretStore(self.data_dir / "secrets.json")
        self._durable = durable
        self._only = tuple(name for name in ALL if name in only)
        self._children: dict[str, Child] = {}
        self._ports_used: dict[str, dict[str, int]] = {}

    @property
    def children(self) -> list[Child]:
        """The started servers in the order of their start."""
        return list(self._children.values())

    @property
    def postgres(self) -> Child:
        """The PostgreSQL server."""
        return self._children["postgres"]

    @property
    def valkey(self) -> Child:
        """The Redis-compatible server."""
        return self._children["valkey"]

    @property
    def seaweed(self) -> Child:
        """The S3 server."""
        return self._children["seaweed"]

    @property
    def database_login(self) -> Login:
        """Port and passwords of the running PostgreSQL, the superuser's too."""
        return postgres.login(self.secrets, self._ports_used["postgres"]["postgres"])

    def start(self) -> Endpoints:
        """Start the servers side by side and wait until each one serves."""
        for name in self._only:
            self._spawn(name)
        for name in self._only:
            self._wait(name)
        if "postgres" in self._only:
            postgres.create_roles(self.database_login)
        endpoints = self.endpoints()
        if "seaweed" in self._only:
            seaweed.create_bucket(endpoints.s3_endpoint_url, endpoints.s3_access_key_id, endpoints.s3_secret_access_key)
        return endpoints

    def endpoints(self) -> Endpoints:
        """The addresses of this start; those of servers that are not embedded are empty."""
        database, redis_port = "postgres" in self._only, self._ports_used.get("valkey", {}).get("valkey")
        s3_port = self._ports_used.get("seaweed", {}).get("s3_s3")
        return Endpoints(
            database_url=self.database_login.app_url() if database else "",
            database_owner_url=self.database_login.owner_url() if database else "",
            database_app_role=postgres.APP_ROLE if database else "",
            redis_url=valkey.url(redis_port, self.secrets.get("valkey_password")) if redis_port else "",
            s3_endpoint_url=f"http://127.0.0.1:{s3_port}" if s3_port else "",
            s3_access_key_id=self.secrets.get("s3_access_key_id") if s3_port else "",
            s3_secret_access_key=self.secrets.get("s3_secret_access_key") if s3_port else "",
            s3_bucket=seaweed.BUCKET,
            s3_region=seaweed.REGION,
        )

    def running_endpoints(self) -> Endpoints:
        """The addresses of servers that another process has started on the folder.

        Raises: KeyError where none was ever started.
        """
        for name in self._only:
            names = {"postgres": ("postgres",), "valkey": ("valkey",), "seaweed": ("s3_s3",)}[name]
            self._ports_used[name] = {port_name: self.ports.known(port_name) for port_name in names}
        return self.endpoints()

    def stop(self) -> None:
        """Stop them in reverse order; nothing stays behind."""
        for child in reversed(self.children):
            child.ask_to_stop()  # they do not depend on each other: all at once is quicker
        for child in reversed(self.children):
            child.stop()
        seaweed.remove_sockets(self._ports_used.get("seaweed", {}))

    def _spawn(self, name: str) -> None:
        names = {"postgres": ("postgres",), "valkey": ("valkey",), "seaweed": seaweed.PORT_NAMES}[name]
        ports = {port_name: self.ports.get(port_name) for port_name in names}
        self._ports_used[name] = ports
        folder = self.data_dir / name
        match name:
            case "postgres":
                address, launch = postgres.login(self.secrets, ports["postgres"]), postgres.choose_launch()
                postgres.create_cluster(folder, address.superuser_password, launch, durable=self._durable)
                program = postgres.program(folder, address, launch, durable=self._durable)
            case "valkey":
                program = valkey.program(folder, ports["valkey"], self.secrets.get("valkey_password"))
            case _:
                seaweed.remove_sockets(ports)
                key_id, key = self.secrets.get("s3_access_key_id"), self.secrets.get("s3_secret_access_key")
                program = seaweed.program(folder, ports, key_id, key)
        self._children[name] = Child(program, self.data_dir / "logs" / f"{name}.log")
        self._children[name].start()

    def _wait(self, name: str) -> None:
        """Wait until it serves; when somebody took one of its ports meanwhile, try others."""
        for trial in range(1, _NUM_PORT_TRIALS + 1):
            try:
                return self._children[name].wait_ready()
            except UnavailableError:
                self._children[name].kill()
                taken = [key for key, port in self._ports_used[name].items() if not is_free(port)]
                if not taken or trial == _NUM_PORT_TRIALS:
                    self.stop()
                    raise
                self.ports.forget(taken)
                self._spawn(name)
        return None
