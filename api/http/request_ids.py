"""The id of the request that is being answered: the caller's X-Request-ID, or one of our own."""

import re
import uuid
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


class RequestIds:
    """Gives each request an id, and says it in the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == HEADER), None)
        request_id = begin_request(given).encode()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (HEADER, request_id)]
            await send(message)

        await self.app(scope, receive, send_with_id)
