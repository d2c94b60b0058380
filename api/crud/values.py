"""Kinds of values in answers, as OpenAPI describes them."""

from datetime import date, datetime
from typing import Annotated

from pydantic import WithJsonSchema

Time = Annotated[
    datetime,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?$",
            "description": "ISO 8601 without a zone, up to microseconds: wall clock of the server's set zone.",
        }
    ),
]
LocalTime = Annotated[
    datetime,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?$",
            "description": "ISO 8601 without a zone: wall clock of the station.",
        }
    ),
]
Day = Annotated[date, WithJsonSchema({"type": "string", "pattern": r"^\d{4,}-\d\d-\d\d$"})]
Permissions = Annotated[list[str], WithJsonSchema({"type": "array", "items": {"type": "string"}})]
"""What the caller may do with the thing."""


def parsed_time(text: str) -> datetime:
    """A time from a JSON aggregate: there it is text, without trailing zeros."""
    return datetime.fromisoformat(text)


def file_size(size: int | None) -> str:
    """A number of bytes for people, as the platform writes it: `16.3 KB` with a no-break space."""
    if not size or size < 1024:
        return f"{size or 0}\u00a0bytes" if size != 1 else "1\u00a0byte"
    amount, unit = float(size), ""
    for unit in ("KB", "MB", "GB", "TB", "PB"):
        amount /= 1024
        if amount < 1024 or unit == "PB":
            break
    return f"{amount:.1f}\u00a0{unit}"
