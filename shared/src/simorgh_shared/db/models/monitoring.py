"""What machines and processes measure of themselves."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from simorgh_shared.db.models.base import Base, CreatedAt


class HardwareSource(Base):
    """A process that samples itself and the machine that it is on, with its newest sample."""

    __tablename__ = "hardware_sources"
    name: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str]
    service: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    """What of the machine does not change."""
    sample: Mapped[dict[str, Any]]
    every_s: Mapped[float]
    started_at: Mapped[CreatedAt]
    at: Mapped[CreatedAt]
    ended_at: Mapped[datetime | None]


class HardwareHistory(Base):
    """Figures of a source over a period, in the slot whose turn it was."""

    __tablename__ = "hardware_history"
    source: Mapped[str] = mapped_column(sa.ForeignKey("hardware_sources.name", ondelete="CASCADE"), primary_key=True)
    period_s: Mapped[int] = mapped_column(primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    figures: Mapped[dict[str, Any]]
