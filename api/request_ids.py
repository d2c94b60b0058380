"""The id of the request that is being answered: the caller's X-Request-ID, or one of our own."""

import re
import uuid
from contextvars import ContextVar

HEADER = b"x-request-id"
_USABLE = re.compile(rb"[\x21-\x7e]{1,128}\Z")
_current: ContextVar[str] = ContextVar("request_id", default="-")


def begin_request(given: bytes | None) -> str:
    """Take over the caller's id if it is one that can stand in a header and a log, else make one."""
    usable = given is not None and _USABLE.match(given)
    request_id = given.decode("ascii") if given is not None and usable else uuid.uuid4().hex
    _current.set(request_id)
    return request_id


def current_request_id() -> str:
    """The id of the request that this code runs for."""
    return _current.get()
