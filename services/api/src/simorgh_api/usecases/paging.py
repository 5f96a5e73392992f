"""Pages of lists, newest first: opaque cursors over ids that sort by age (R-API-3)."""

import base64
import binascii
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.domain.ids import is_id

RowT = TypeVar("RowT", bound=sa.Row[Any])


def page(
    session: Session,
    query: "sa.Select[*tuple[Any, ...]]",
    column: InstrumentedAttribute[str],
    prefix: str,
    limit: int,
    cursor: str | None,
) -> tuple[list[Any], str | None]:
    """`limit` rows of `query` with the highest ids of `column` below the cursor's, and the next cursor.

    `prefix` is that of the ids, so that another list's cursor is refused.
    Raises: InvalidInputError for a cursor that no list gave.
    """
    if cursor is not None:
        query = query.where(column < decode(cursor, prefix))
    ordered = query.add_columns(column.label("page_id")).order_by(column.desc()).limit(limit + 1)
    rows = session.execute(ordered).all()
    more = encode(rows[limit - 1].page_id) if len(rows) > limit else None
    return list(rows[:limit]), more


def encode(last_id: str) -> str:
    """The cursor that goes on after this id."""
    return base64.urlsafe_b64encode(last_id.encode()).decode().rstrip("=")


def decode(cursor: str, prefix: str) -> str:
    """The id that a cursor goes on after.

    Raises: InvalidInputError.
    """
    try:
        last_id = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError("invalid_cursor") from error
    if not is_id(last_id, prefix):
        raise InvalidInputError("invalid_cursor")
    return last_id
