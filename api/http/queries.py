"""Query parameters (contract 1.2): the last of several wins, booleans have their own rules.

What an operation takes is declared once: the declaration reads it from a request, and describes it in OpenAPI.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from api.http.errors import Invalid, NotFound

_WHOLE = re.compile(r" *[+-]?[0-9]+ *")
FALSE = ("0", "false", "False")
DEFAULT_PAGE_ROWS = 20
MAX_PAGE_ROWS = 1000
"""No page is longer: upstream has no bound, and one request could ask for everything."""


def last(request: Request, name: str) -> str | None:
    values = request.query_params.getlist(name)
    return values[-1] if values else None


@dataclass(frozen=True)
class Flag:
    """A parameter that is true or false: absent is false; present without a value, and any word but a no, is true."""

    name: str
    description: str

    def read(self, request: Request) -> bool:
        value = last(request, self.name)
        return value is not None and value not in FALSE

    def openapi(self) -> dict[str, Any]:
        return parameter(self.name, {"type": "boolean", "default": False}, self.description)


@dataclass(frozen=True)
class Whole:
    """A parameter that is a whole number within bounds; absent or empty is the default."""

    name: str
    description: str
    default: int | None = None
    minimum: int = 0
    maximum: int = 2**31 - 1

    def read(self, request: Request) -> int | None:
        """Raises Invalid for what is no number, or out of bounds."""
        value = last(request, self.name)
        if value is None or value == "":
            return self.default
        if not _WHOLE.fullmatch(value):
            raise Invalid({self.name: ["A valid integer is required."]})
        number = int(value) if len(value) <= 30 else self.maximum + 1
        if number < self.minimum:
            raise Invalid({self.name: [f"Ensure this value is greater than or equal to {self.minimum}."]})
        if number > self.maximum:
            raise Invalid({self.name: [f"Ensure this value is less than or equal to {self.maximum}."]})
        return number

    def openapi(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}
        if self.default is not None:
            schema["default"] = self.default
        return parameter(self.name, schema, self.description)


Query = Flag | Whole


def openapi(declared: Iterable[Query]) -> dict[str, Any]:
    """What an operation that reads these says of them."""
    return {"parameters": [each.openapi() for each in declared]}


def page(request: Request, default: int = DEFAULT_PAGE_ROWS) -> tuple[int, int]:
    """Limit and offset; what cannot be one falls back to the default."""
    limit, offset = natural(last(request, "limit")), natural(last(request, "offset"))
    return min(limit or default, MAX_PAGE_ROWS), offset or 0


def natural(value: str | None) -> int | None:
    """A whole number that is not negative; None for anything else."""
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 10:
        return None
    return int(value)


def row_id(text: str | int) -> int:
    """The id in a path; raises NotFound for what cannot be one."""
    if isinstance(text, str) and not (text.isascii() and text.isdigit() and len(text) < 20):
        raise NotFound
    number = int(text)
    if not 0 < number < 2**63:
        raise NotFound
    return number


def parameter(
    name: str, schema: dict[str, Any], description: str = "", *, required: bool = False
) -> dict[str, Any]:
    """A query parameter, for OpenAPI."""
    said = {"description": description} if description else {}
    return {"name": name, "in": "query", "required": required, "schema": schema, **said}


PAGING_PARAMETERS = [
    parameter("limit", {"type": "integer", "minimum": 1}, f"Rows of a page, at most {MAX_PAGE_ROWS}."),
    parameter("offset", {"type": "integer", "minimum": 0}, "Rows to leave out first."),
]
