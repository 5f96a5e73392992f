"""Whether a process lives and can work: checks of its parts, and a small HTTP server for those that have none.

The server answers `/livez` and `/health` (the process answers), `/readyz` (each part's state; 503 where a needed one
does not answer) and `/metrics`.
"""

import json
import threading
from collections.abc import Callable, Collection, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import sqlalchemy as sa
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from simorgh_shared import exposition
from simorgh_shared.db.revision import head_revision
from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.storage.blobs import BlobStore

OK = "ok"
_SILENT = "does not answer"
Check = Callable[[], str]
"""Says `ok`, or what is wrong."""


def database(engine: sa.Engine) -> Check:
    """Whether PostgreSQL answers."""

    def check() -> str:
        try:
            with engine.connect() as connection:
                connection.execute(sa.text("SELECT 1"))
        except SQLAlchemyError:
            return _SILENT
        return OK

    return check


def migrations(engine: sa.Engine) -> Check:
    """Whether the database has this release's schema."""

    def check() -> str:
        try:
            with engine.connect() as connection:
                at = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        except SQLAlchemyError:
            return "unknown"
        # A newer one is made so that this release works with it: else an upgrade would stop all that still runs.
        return OK if at is not None and at >= head_revision() else f"at {at}, this release needs {head_revision()}"

    return check


def storage(store: BlobStore) -> Check:
    """Whether the bucket answers."""

    def check() -> str:
        try:
            store.check()
        except UnavailableError:
            return _SILENT
        return OK

    return check


def broker(redis: "Redis") -> Check:
    """Whether Redis answers."""

    def check() -> str:
        try:
            redis.ping()
        except RedisError:
            return _SILENT
        return OK

    return check


def service_checks(engine: sa.Engine, store: BlobStore, redis: "Redis") -> dict[str, Check]:
    """The parts that a service of the platform works with."""
    return {
        "database": database(engine),
        "migrations": migrations(engine),
        "storage": storage(store),
        "broker": broker(redis),
    }


def summary(parts: Mapping[str, str], optional: Collection[str] = ("broker",)) -> dict[str, Any]:
    """The answer about these parts. Without an optional one the process works on, only slower: it is degraded."""
    down = [name for name, told in parts.items() if told != OK]
    needed_down = [name for name in down if name not in optional]
    status = "unavailable" if needed_down else "degraded" if down else OK
    return {"ok": not needed_down, "data": {"status": status, "parts": dict(parts)}}


def serve_health(host: str, port: int, checks: Mapping[str, Check]) -> ThreadingHTTPServer:
    """Serve from a thread until the process ends. Port 0 takes a free one (`server_port` tells which)."""

    class Handler(BaseHTTPRequestHandler):
        """Answers probes and Prometheus."""

        def do_GET(self) -> None:
            """One of the four paths."""
            match self.path.partition("?")[0]:
                case "/livez" | "/health":
                    self._answer(200, _as_json({"ok": True, "data": {"status": OK}}))
                case "/readyz":
                    told = summary({name: check() for name, check in checks.items()})
                    self._answer(200 if told["ok"] else 503, _as_json(told))
                case "/metrics":
                    self._answer(200, exposition.render(), exposition.CONTENT_TYPE)
                case path:
                    self._answer(404, _as_json({"ok": False, "error": f"There is nothing at {path}."}))

        def log_message(self, format: str, *args: Any) -> None:
            """Probes come every few seconds and are not worth a line."""

        def _answer(self, status: int, body: bytes, content_type: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def _as_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode()
