"""Samples this process and its machine from a thread, and writes the newest and the history to PostgreSQL.

PostgreSQL, because nothing that an operator wants to know after an incident may hang on Redis; at a heartbeat's pace,
because figures are worth less than jobs. An outage costs the points of its time and nothing else.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.logging import cause
from simorgh_shared.monitoring.history import LONG_PERIOD_S, LONG_SLOTS, SHORT_SLOTS, Ring
from simorgh_shared.monitoring.machine import Machine, facts, figures
from simorgh_shared.schemas.monitoring import GpuFigures
from simorgh_shared.settings import MonitoringSettings

log = structlog.get_logger()


@dataclass(frozen=True)
class Sampled:
    """Who samples, and what of."""

    service: str
    folder: Path
    """On the file system that the process works on."""
    name: str = ""
    """Empty: host and process id."""
    gpus: Callable[[], list[GpuFigures]] | None = None
    more: Callable[[], Mapping[str, float | None]] = dict
    """Further figures for the history."""


class Sampler:
    """The thread. It needs no end: what it has written tells its age."""

    def __init__(self, sessions: sessionmaker[Session], settings: MonitoringSettings, sampled: Sampled) -> None:
        self._sessions = sessions
        self._sampled = sampled
        self._name = sampled.name or f"{sampled.service}-{socket.gethostname()}-{os.getpid()}"
        self._node = settings.node_name or socket.gethostname()
        self._every_s = settings.monitoring_interval_s
        self._machine = Machine(sampled.folder, sampled.gpus)
        short_s = max(1, round(self._every_s))
        self._rings = (Ring(short_s, SHORT_SLOTS), Ring(LONG_PERIOD_S, LONG_SLOTS))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and say so: the process is not shown as one that lives."""
        self._stopped.set()
        self._thread.join(2.0)
        self._write(sa.text("UPDATE hardware_sources SET ended_at = clock_timestamp() WHERE name = :name"), [{}])

    def _run(self) -> None:
        told, started = facts().model_dump_json(), time.time()
        while not self._stopped.is_set():
            begun = time.monotonic()
            try:
                sample = self._machine.look()
            except (psutil.Error, OSError) as error:
                log.warning("not_sampled", reason=cause(error))
                self._stopped.wait(self._every_s)
                continue
            values = {**figures(sample), **self._sampled.more()}
            latest = {
                "node": self._node,
                "service": self._sampled.service,
                "facts": told,
                "sample": sample.model_dump_json(),
                "every_s": self._every_s,
                "started": started,
            }
            rows = [ring.add(time.time(), values) for ring in self._rings]
            if self._write(_LATEST, [latest]):
                self._write(
                    _HISTORY,
                    [
                        {"period_s": row.period_s, "slot": row.slot, "at": row.at, "figures": json.dumps(row.figures)}
                        for row in rows
                    ],
                )
            self._stopped.wait(max(0.1, begun + self._every_s - time.monotonic()))

    def _write(self, statement: sa.TextClause, rows: list[dict[str, object]]) -> bool:
        try:
            with self._sessions.begin() as session:
                session.execute(_CHEAP)
                session.execute(statement, [{"name": self._name, **row} for row in rows])
        except SQLAlchemyError as error:
            log.warning("sample_not_kept", reason=cause(error))
            return False
        return True


_CHEAP = sa.text("SET LOCAL synchronous_commit = off")  # a crash may cost the last point
_LATEST = sa.text(
    """
    INSERT INTO hardware_sources (name, node, service, facts, sample, every_s, started_at)
    VALUES (:name, :node, :service, CAST(:facts AS jsonb), CAST(:sample AS jsonb), :every_s, to_timestamp(:started))
    ON CONFLICT (name) DO UPDATE SET node = excluded.node, facts = excluded.facts, sample = excluded.sample,
        every_s = excluded.every_s, started_at = excluded.started_at, at = clock_timestamp(), ended_at = NULL
    """
)
_HISTORY = sa.text(
    """
    INSERT INTO hardware_history (source, period_s, slot, at, figures)
    VALUES (:name, :period_s, :slot, to_timestamp(:at), CAST(:figures AS jsonb))
    ON CONFLICT (source, period_s, slot) DO UPDATE SET at = excluded.at, figures = excluded.figures
    """
)
