"""Hears NOTIFY on a connection of its own, and checks by a NOTIFY to itself that it still does."""

import secrets
import threading
import time
from collections.abc import Callable

import psycopg
import structlog
from psycopg import sql

from simorgh_shared.logging import cause
from simorgh_shared.queue.channels import NOTIFY_CONTROL, NOTIFY_EVENTS, NOTIFY_JOBS

log = structlog.get_logger()
_CHECK_S = 10.0
_CHECK_CHANNEL = "simorgh_listen_check"


class Listener:
    """A thread that calls back for each notification, and reconnects for ever."""

    def __init__(self, url: str, heard: Callable[[str, str], None]) -> None:
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._heard = heard
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="listen", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End at the next look."""
        self._stopped.set()
        self._thread.join(timeout=5)

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=5) as connection:
                    self._serve(connection)
            except psycopg.Error as error:
                log.warning("listen_lost", reason=cause(error))
                self._stopped.wait(1.0)

    def _serve(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        for channel in (NOTIFY_JOBS, NOTIFY_CONTROL, NOTIFY_EVENTS, _CHECK_CHANNEL):
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        self._heard(NOTIFY_JOBS, "")  # whatever was missed while away
        token, answered_at = secrets.token_hex(4), time.monotonic()
        next_check = answered_at
        while not self._stopped.is_set():
            now = time.monotonic()
            if now - answered_at > 2 * _CHECK_S:
                raise psycopg.OperationalError("no notification came back")
            if now >= next_check:
                connection.execute("SELECT pg_notify(%s, %s)", (_CHECK_CHANNEL, token))
                next_check = now + _CHECK_S
            for notification in connection.notifies(timeout=1.0):
                if notification.channel == _CHECK_CHANNEL:
                    if notification.payload == token:
                        answered_at = time.monotonic()
                    break
                self._heard(notification.channel, notification.payload)
