"""Makes, on this machine, the images that a registry would give: the base from Debian, and the servers on it.

What this machine needs to reach a package index (authority, wheels that lie here) goes into that base or comes as a
secret of the build; the project's Dockerfiles know nothing of it.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path

from build import BASE, ROOT
from engine import Engine

SERVERS = {
    "postgres": "postgres:18",
    "valkey": "valkey/valkey:9",
    "seaweedfs": "chrislusf/seaweedfs:4.48",
    "prometheus": "prom/prometheus:v3.5.0",
    "caddy": "caddy:2",
}
"""What compose names. Grafana is left out: no package registry has it."""
_PACKAGES = "ca-certificates,python3,python3-venv,python3-pip"
_AUTHORITY = Path("/etc/ssl/certs/ca-certificates.crt")


def make_base(engine: Engine, folder: Path) -> None:
    """The base of all images, from Debian's packages."""
    archive = folder / "base.tar"
    if not archive.exists():
        making = folder / "base.making.tar"
        words = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={_PACKAGES}", "bookworm", str(making)]
        subprocess.run(words, env=engine.environment, check=True)
        making.rename(archive)
    context = folder / "base"
    context.mkdir(exist_ok=True)
    shutil.copy(_AUTHORITY, context / "authority.crt")
    engine.run("import", "--change", f"ENV SSL_CERT_FILE={_AUTHORITY}", str(archive), f"{BASE}-bare")
    (context / "pip.conf").write_text(f"[global]\ncert = {_AUTHORITY}\n")
    lines = [f"FROM {BASE}-bare", f"COPY authority.crt {_AUTHORITY}", "COPY pip.conf /etc/pip.conf"]
    (context / "Dockerfile").write_text("\n".join(lines) + "\n")
    engine.run("build", "--quiet", "--tag", BASE, str(context))


def make_servers(engine: Engine) -> None:
    """The servers that the platform stands on, under the names that compose gives."""
    for name, tag in SERVERS.items():
        words = ["build", "--quiet", "--file", str(ROOT / f"deploy/trial/backing/{name}.Dockerfile")]
        engine.run(*words, "--tag", tag, str(ROOT))


@contextmanager
def wheels_served(engine: Engine, folder: Path) -> Iterator[dict[str, str]]:
    """Variables for the build by which it finds wheels that lie on this machine, while this lasts."""
    lying = os.environ.get("PIP_FIND_LINKS", "")
    if not Path(lying).is_dir():
        yield {}
        return
    # An engine that begins on an empty folder tells the network alone: the gateway is its first address.
    network = engine.says("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}")
    gateway = str(ip_network(network)[1])
    server = ThreadingHTTPServer((gateway, 0), partial(_Quiet, directory=lying))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    configuration = folder / "uv.toml"
    configuration.write_text(f'find-links = ["http://{gateway}:{server.server_port}/"]\n')
    try:
        yield {"UV_CONFIG_FILE": str(configuration)}
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing about it."""

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""
