"""How much of a request body is read (contract 1.6)."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import TooLarge
from api.http.responses import json_response

MAX_DISCARDED_BYTES = 2**25
"""Bytes that are read, and not kept, of a body that is too long."""
DISCARD_TIMEOUT = 1.0
"""Seconds that the rest of too long a body may pause: nobody keeps a connection open by sending no more."""


class BodyLimit:
    """Reads no more of a body than is allowed."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        said = headers.get("content-length", "0")
        if said.isdigit() and int(said) > self.most:
            if "expect" not in headers:
                await self._pass_over(receive)
            error = TooLarge(self.most)
            await json_response(error.body, error.status, error.headers)(scope, receive, send)
            return
        read = 0

        async def receive_some() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.most:
                if message.get("more_body"):
                    await self._pass_over(receive)
                raise TooLarge(self.most)
            return message

        await self.app(scope, receive_some, send)

    async def _pass_over(self, receive: Receive) -> None:
        """Read on and keep nothing, up to a point: who is cut off while sending never sees the answer."""
        read = 0
        while read < MAX_DISCARDED_BYTES:
            try:
                message = await asyncio.wait_for(receive(), DISCARD_TIMEOUT)
            except TimeoutError:
                return
            read += len(message.get("body", b""))
            if not message.get("more_body"):
                return
