"""The errors of the API, as a tree, and how each is answered (contract 1.7).

- ApiError                      a status, a body, headers
    - Invalid                   400, messages by field
    - Refusal                   400, one message in a list
    - BadRequest                400, one `detail`
    - NotAuthenticated          401, with WWW-Authenticate
    - PermissionDenied          403
    - NotFound                  404: no such thing, or none that the caller may see
    - NotAllowed                405
    - NotAcceptable             406
    - InFlight                  409: the same request is being answered
    - PreconditionFailed        412: changed meanwhile
    - TooLarge                  413
    - UnsupportedMediaType      415
    - KeyReused                 422: another request with the same key
    - Throttled                 429, with Retry-After
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request, Response
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled, SerializationFailure
from starlette.exceptions import HTTPException

from api.http.request_ids import current_request_id
from api.http.responses import json_response
from jobs.errors import (
    AttemptSuperseded,
    CaptureSetBusy,
    CaptureSetNotFound,
    InvalidField,
    InvalidSampling,
    InvalidSource,
    JobError,
    JobNotFound,
    MissingInput,
    MissingSource,
    MissingStation,
    RunEnded,
    RunPaused,
    RunRefused,
    ServiceUnavailable,
    StationBusy,
    StationNotFound,
    StoreRefuses,
    TryAgainAfter,
)

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
        self.messages = messages


class Refusal(ApiError):
    """What was asked for makes no sense as things stand: one message in a list (contract 1.7)."""

    def __init__(self, message: str) -> None:
        super().__init__(400, [message])


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


class NotAllowed(ApiError):
    """Method not allowed."""

    def __init__(self, method: str) -> None:
        super().__init__(405, {"detail": f'Method "{method}" not allowed.'})


class NotAcceptable(ApiError):
    """The caller reads nothing that we write."""

    def __init__(self) -> None:
        super().__init__(406, {"detail": "Could not satisfy the request Accept header."})


class InFlight(ApiError):
    """The same request, by its Idempotency-Key, has not been answered yet."""

    def __init__(self) -> None:
        detail = "A request with this Idempotency-Key is being worked on."
        super().__init__(409, {"detail": detail}, {"Retry-After": "1"})


class PreconditionFailed(ApiError):
    """If-Match names another version than there is."""

    def __init__(self) -> None:
        super().__init__(
            412, {"detail": "It was changed meanwhile: its ETag is not among those of If-Match."}
        )


class TooLarge(ApiError):
    """A body that is longer than any we read."""

    def __init__(self, most: int) -> None:
        detail = f"The request body is too large: at most {most} bytes."
        super().__init__(413, {"detail": detail}, {"Connection": "close"})


class KeyReused(ApiError):
    """An Idempotency-Key that came with another request before."""

    def __init__(self) -> None:
        super().__init__(422, {"detail": "This Idempotency-Key was used for another request."})


class Throttled(ApiError):
    """Too many attempts."""

    def __init__(self, seconds: int) -> None:
        detail = f"Request was throttled. Expected available in {seconds} seconds."
        super().__init__(429, {"detail": detail}, {"Retry-After": str(seconds)})


STATUS_OF: dict[type[JobError], int] = {
    JobNotFound: 404,
    CaptureSetNotFound: 404,
    StationNotFound: 404,
    InvalidField: 400,
    RunRefused: 409,
    RunEnded: 409,
    RunPaused: 409,
    AttemptSuperseded: 409,
    StationBusy: 409,
    CaptureSetBusy: 409,
    MissingInput: 400,
    MissingStation: 400,
    MissingSource: 400,
    InvalidSampling: 400,
    InvalidSource: 400,
    StoreRefuses: 502,
    ServiceUnavailable: 503,
}
"""The status that answers each error of the vocabulary of jobs; one about a row that went meanwhile is 404."""


async def answer_job_error(request: Request, error: Exception) -> Response:
    """What a request found out about a job after it was let in, such as that it was just deleted."""
    assert isinstance(error, JobError)
    status = STATUS_OF[type(error)]
    if status == 404:
        return json_response({"detail": "Not found."}, status)
    if isinstance(error, InvalidField | InvalidSampling):
        return json_response({error.field: [error.reason]}, status)
    headers = {"Retry-After": "5"} if isinstance(error, TryAgainAfter | ServiceUnavailable) else None
    return json_response({"detail": str(error)}, status, headers)


async def answer_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return json_response(error.body, error.status, error.headers)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: no such route, or a method that it does not allow."""
    assert isinstance(error, HTTPException)
    details = {404: "Not found.", 405: f'Method "{request.method}" not allowed.'}
    detail = details.get(error.status_code, error.detail)
    return json_response({"detail": detail}, error.status_code, error.headers)


_BUSY = (LockNotAvailable, QueryCanceled, DeadlockDetected, SerializationFailure)


async def answer_unavailable(request: Request, error: Exception) -> Response:
    """PostgreSQL is out of reach, or has too much to do: the caller may try again."""
    logger.error("request %s: the database failed: %s", current_request_id(), error)
    detail = "The database is busy." if isinstance(error, _BUSY) else "The database cannot be reached."
    return json_response({"detail": detail}, 503, {"Retry-After": "5"})


async def answer_conflict(request: Request, error: Exception) -> Response:
    """Two requests at one moment wanted what only one can have, such as the same name."""
    logger.warning("request %s lost a race: %s", current_request_id(), error)
    detail = "Something else was changed at the same moment: look again."
    return json_response({"detail": detail}, 409, {"Retry-After": "1"})


async def answer_row_gone(request: Request, error: Exception) -> Response:
    """What a request is about was deleted after it was let in."""
    return json_response({"detail": "Not found."}, 404)


async def answer_unforeseen(request: Request, error: Exception) -> Response:
    """A defect of ours: the trace goes to the log, not to the caller."""
    request_id = current_request_id()
    logger.error("request %s failed: %r", request_id, error)
    body = {"detail": "Internal server error.", "request_id": request_id}
    return json_response(body, 500, {"X-Request-ID": request_id})
