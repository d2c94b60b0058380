"""The errors of the API, as a tree, and how each is answered (contract 1.7).

- ApiError                      a status, a body, headers
    - Invalid                   400, messages by field
    - BadRequest                400, one `detail`
    - NotAuthenticated          401, with WWW-Authenticate
    - PermissionDenied          403
    - NotFound                  404: no such thing, or none that the caller may see
    - UnsupportedMediaType      415
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request, Response
from starlette.exceptions import HTTPException

from api.responses import json_response

logger = logging.getLogger("nightjar.api")


class ApiError(Exception):
    """An answer that is not what the caller asked for."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = headers


class Invalid(ApiError):
    """Values that do not fit: messages by field."""

    def __init__(self, messages: Mapping[str, Sequence[str]]) -> None:
        super().__init__(400, messages)


class BadRequest(ApiError):
    """A body that cannot be read."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, {"detail": detail})


class NotAuthenticated(ApiError):
    """Nobody, or not who they say."""

    def __init__(self, detail: str = "Authentication credentials were not provided.") -> None:
        super().__init__(401, {"detail": detail}, {"WWW-Authenticate": "Token"})


class PermissionDenied(ApiError):
    """Somebody, but not for this."""

    def __init__(self, detail: str = "You do not have permission to perform this action.") -> None:
        super().__init__(403, {"detail": detail})


class NotFound(ApiError):
    """No such thing, or none that the caller may see: the two are not told apart."""

    def __init__(self) -> None:
        super().__init__(404, {"detail": "Not found."})


class UnsupportedMediaType(ApiError):
    """A body in a form that nobody reads."""

    def __init__(self, media_type: str) -> None:
        super().__init__(415, {"detail": f'Unsupported media type "{media_type}" in request.'})


async def answer_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return json_response(error.body, error.status, error.headers)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: no such route, or not by that method."""
    assert isinstance(error, HTTPException)
    details = {404: "Not found.", 405: f'Method "{request.method}" not allowed.'}
    detail = details.get(error.status_code, error.detail)
    return json_response({"detail": detail}, error.status_code, error.headers)


async def answer_unavailable(request: Request, error: Exception) -> Response:
    """PostgreSQL is out of reach: the caller may try again."""
    logger.error("database out of reach: %s", error)
    return json_response({"detail": "The database cannot be reached."}, 503, {"Retry-After": "5"})


async def answer_unforeseen(request: Request, error: Exception) -> Response:
    """A defect of ours: the trace goes to the log, not to the caller."""
    return json_response({"detail": "Internal server error."}, 500)
