"""The declarative base and the column types that the tables share."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

Instant = Annotated[datetime, mapped_column(sa.DateTime(timezone=True))]
CreatedAt = Annotated[datetime, mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())]


class Base(DeclarativeBase):
    """Base of all table classes."""

    type_annotation_map: ClassVar = {
        str: sa.Text,
        datetime: sa.DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        list[str]: ARRAY(sa.Text),
    }
