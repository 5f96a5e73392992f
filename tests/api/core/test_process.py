"""The gateway's process: its memory, what it loads, and when it refuses to start."""

import json
import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import httpx
import psutil
import pytest
from packaging.requirements import Requirement

from tests.support.gateway import Gateway

_HEAVY = (  # the last line: only where traces are kept (R-OPS-5)
    *("torch", "pyarrow", "transformers", "celery", "kombu", "pynvml", "simorgh_shared.worker"),
    *(
        "opentelemetry.sdk.metrics",
        "opentelemetry.sdk.trace",
        "opentelemetry.exporter",
    ),
)


class TestProcess:
    """Architecture 2 and 8."""

    def test_memory_after_start_is_below_160_megabytes(self, gateway: Gateway) -> None:
        """The gateway stays small."""
        rss_bytes = psutil.Process(gateway.pid).memory_info().rss
        assert rss_bytes < 160e6, f"{rss_bytes / 1e6:.0f} MB"

    def test_app_loads_neither_torch_nor_the_broker(self) -> None:
        """What the dispatcher and the workers need stays out of the gateway."""
        code = (
            "import sys\nfrom simorgh_api.contract import contract\ncontract()\n"
            f"print([name for name in {_HEAVY!r} if name in sys.modules])"
        )
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert told.stdout.strip() == "[]", told.stderr

    def test_dependencies_hold_neither_torch_nor_pyarrow(self) -> None:
        """Its image needs none of them."""
        assert {"torch", "numpy", "pyarrow", "transformers"}.isdisjoint(_closure("simorgh-api"))

    @pytest.mark.parametrize(("key", "said"), [(None, "is not set"), ("short", "has 5 bytes and needs at least 32")])
    def test_production_refuses_a_bad_signing_secret(self, gateway: Gateway, key: str | None, said: str) -> None:
        """R-AUTH-2."""
        environment = {k: v for k, v in gateway.environment.items() if k != "SIMORGH_SIGNING_KEY"}
        if key:
            environment["SIMORGH_SIGNING_KEY"] = key
        script = Path(sysconfig.get_path("scripts")) / "simorgh-api"
        child = subprocess.run(
            [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=60
        )
        assert child.returncode == 1
        assert said in child.stderr

    def test_a_port_that_is_taken_ends_it_with_the_reason(self, gateway: Gateway) -> None:
        """R-OPS-6: a second gateway on the same machine says why, and leaves no process that answers nobody."""
        script = Path(sysconfig.get_path("scripts")) / "simorgh-api"
        for _ in range(3):  # what has just begun is ended again, at whatever point it is
            child = subprocess.run(
                [sys.executable, str(script)], env=gateway.environment, capture_output=True, text=True, timeout=60
            )
            assert child.returncode != 0
            assert "address already in use" in child.stdout + child.stderr

    def test_log_is_json_with_request_ids_and_no_password(self, gateway: Gateway) -> None:
        """R-OPS-6."""
        secret = "geheim-im-protokoll"
        headers = {"x-request-id": "look-for-me"}
        body = {"email": "x@example.test", "password": secret}
        httpx.post(f"{gateway.url}/api/auth/login", json=body, headers=headers)
        lines = [json.loads(line) for line in gateway.log.read_text().splitlines()]
        assert "look-for-me" in [line.get("request_id") for line in lines]
        assert secret not in gateway.log.read_text()


def _closure(name: str) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        found.add(current)
        try:
            needed = [Requirement(text) for text in requires(current) or []]
        except PackageNotFoundError:
            continue
        waiting += [r.name.lower() for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found
