"""What holds for every address of the API (contract 1.1, 1.10).

Both slash forms and a `.json` suffix are answered directly, without a redirect; HEAD works where GET does; OPTIONS
describes; every answer has `Allow` and `Vary`.
"""

import re
from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from psycopg import OperationalError
from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import html_renderer
from api.http.addresses import Address, Addresses
from api.http.errors import ApiError, NotAcceptable, NotAllowed, NotFound, answer_unavailable
from api.http.links import PREFIX
from api.http.responses import json_response

VARY = (b"vary", b"Accept, Accept-Language, origin, Accept-Encoding")
RawHeaders = list[tuple[bytes, bytes]]
FORMATS = ("json", "api")
JSON_RANGES = ("*/*", "application/*", "application/json")
_SUFFIXED = re.compile(r"^(?P<stem>.+)\.(?P<suffix>[a-z0-9]+)/?\Z")


class Conventions:
    """Slash forms, suffixes, HEAD, OPTIONS, what is acceptable, and the headers."""

    def __init__(
        self, app: ASGIApp, addresses: Addresses, describe: Callable[[Request, Address], Awaitable[Response]]
    ) -> None:
        self.app = app
        self.addresses = addresses
        self.describe = describe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self.app(scope, receive, send)
            return
        scope = {**scope}  # the server's own still says HEAD: it knows then that no body follows
        address = self._find(scope)
        if address is None:
            await self.app(scope, receive, send)
            return
        head = scope["method"] == "HEAD"
        if head and "GET" in address.allow:
            scope["method"] = "GET"
        headers = [VARY, (b"allow", address.allow.encode())]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [
                    (name, value) for name, value in message["headers"] if name not in (b"allow", b"vary")
                ]
                message["headers"] = [*kept, *headers]
            elif head:
                message["body"] = b""
            await send(message)

        await self._answer(address, headers, scope, receive, send_with_headers)

    def _find(self, scope: Scope) -> Address | None:
        """The address that is meant; its path is from here on that of the route."""
        path: str = scope["path"]
        slashed = path if path.endswith("/") else f"{path}/"
        address = self.addresses.find(slashed)
        suffixed = _SUFFIXED.match(path)
        if suffixed is not None:
            found = self.addresses.find(f"{suffixed['stem']}/")
            if found is not None:
                scope["format_suffix"] = suffixed["suffix"]
                scope["path"] = f"{suffixed['stem']}/"
                return found
        if address is not None:
            scope["path"] = slashed
        return address

    async def _answer(
        self, address: Address, headers: RawHeaders, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            if scope["method"] not in address.allow.split(", "):
                raise NotAllowed(scope["method"])
            html = _wants_html(scope)
            if scope["method"] == "OPTIONS":
                response = await self.describe(Request(scope, receive), address)
                await response(scope, receive, send)
                return
        except ApiError as error:
            await json_response(error.body, error.status, error.headers)(scope, receive, send)
            return
        except OperationalError as error:
            response = await answer_unavailable(Request(scope), error)
            await response(scope, receive, send)
            return
        if html:
            # the page is made of the body as it is
            plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
            scope, send = {**scope, "headers": plain}, html_renderer.as_page(scope, headers, send)
        await self.app(scope, receive, send)


def _wants_html(scope: Scope) -> bool:
    """Whether the answer is read by a person in a browser; raises for a format that we do not write."""
    asked = QueryParams(scope["query_string"]).get("format") or scope.get("format_suffix")
    if asked and asked not in FORMATS:
        raise NotFound
    ranges = [
        part.split(";")[0].strip().lower() for part in Headers(scope=scope).get("accept", "*/*").split(",")
    ]
    if asked == "json":
        return False
    html = "text/html" in ranges
    if not html and not any(each in JSON_RANGES or not each for each in ranges):
        raise NotAcceptable
    return html and "application/json" not in ranges and scope["method"] == "GET"
