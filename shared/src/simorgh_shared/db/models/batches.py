"""What a batch has been answered so far."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from simorgh_shared.db.models.base import Base


class BatchAnswer(Base):
    """The answer to one line, as it will stand in a file of the batch. A trigger drops it when the batch has ended."""

    __tablename__ = "batch_answers"
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    is_error: Mapped[bool]
    answer: Mapped[str]
