"""Reading request bodies: JSON, form-encoded or multipart (contract 1.6)."""

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from fastapi import Request

from api.http.errors import BadRequest, Invalid, UnsupportedMediaType

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True)
class Body:
    """What was sent, and whether as a form."""

    values: dict[str, Any]
    form: bool = False


async def read(request: Request) -> Body:
    """The body as a dictionary; an empty one is {}. Raises what DRF would answer."""
    media_type = request.headers.get("content-type", "")
    kind = media_type.split(";")[0].strip().lower()
    if kind in FORMS:
        async with request.form() as form:
            return Body(dict(form), form=True)
    raw = await request.body()
    if not raw:
        return Body({})
    if kind != "application/json":
        raise UnsupportedMediaType(media_type)
    value = _parse_json(raw)
    if not isinstance(value, dict):
        name = type(value).__name__
        raise Invalid({"non_field_errors": [f"Invalid data. Expected a dictionary, but got {name}."]})
    return Body(value)


def _parse_json(raw: bytes) -> Any:
    try:
        return json.loads(raw.decode(), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise BadRequest("JSON parse error - nested too deeply") from error
    except ValueError as error:
        raise BadRequest(f"JSON parse error - {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"Out of range float values are not JSON compliant: {name!r}")
