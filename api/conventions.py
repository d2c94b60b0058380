"""What holds for every address of the API (contract 1.1, 1.10).

Both slash forms and a `.json` suffix are answered directly, without a redirect; HEAD works where GET does; OPTIONS
describes; every answer has `Allow`, `Vary` and, where it is read, an `ETag`.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from psycopg import OperationalError
from starlette.datastructures import Headers, QueryParams
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import html_renderer
from api.errors import ApiError, NotAcceptable, NotAllowed, NotFound, TooLarge, answer_unavailable
from api.links import FILES, PREFIX
from api.request_ids import HEADER as REQUEST_ID
from api.request_ids import begin_request
from api.responses import entity_tag, gzip_etag, json_response

_ORDER = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
VARY = (b"vary", b"Accept, Accept-Language, origin, Accept-Encoding")
RawHeaders = list[tuple[bytes, bytes]]
FORMATS = ("json", "api")
MOST_PASSED_OVER = 2**25
"""Bytes that are read, and not kept, of a body that is too long."""
LONGEST_SILENCE = 1.0
"""Seconds that the rest of too long a body may pause: nobody keeps a connection open by sending no more."""
JSON_RANGES = ("*/*", "application/*", "application/json")
_SUFFIXED = re.compile(r"^(?P<stem>.+)\.(?P<suffix>[a-z0-9]+)/?\Z")


@dataclass(frozen=True)
class Address:
    """A path of the API: its pattern, and what may be done there."""

    path: str
    pattern: re.Pattern[str]
    allow: str


class Addresses:
    """Every address that there is."""

    def __init__(self, routers: Iterable[APIRouter]) -> None:
        """Several routes may share a path, one a method."""
        methods: dict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
        for route in (route for router in routers for route in router.routes):
            if isinstance(route, Route) and route.methods:
                methods[route.path] |= route.methods
                if "GET" in route.methods:
                    methods[route.path].add("HEAD")
        self._all = [
            Address(path, compile_path(PREFIX + path)[0], ", ".join(each for each in _ORDER if each in names))
            for path, names in methods.items()
        ]

    def find(self, path: str) -> Address | None:
        """The address of a path, with its slash at the end."""
        return next((address for address in self._all if address.pattern.match(path)), None)


class RequestIds:
    """Gives each request an id, and says it in the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == REQUEST_ID), None)
        request_id = begin_request(given).encode()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (REQUEST_ID, request_id)]
            await send(message)

        await self.app(scope, receive, send_with_id)


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


class Conditional:
    """Gives what is read a strong ETag, and answers 304 to who has it already (RFC 9110, 13.1.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        started: Message | None = None
        known = Headers(scope=scope).get("if-none-match")

        async def send_tagged(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = message
                if message["status"] == 200 and not _has_tag(message):
                    return
                started = None
            elif started is not None:
                if message.get("more_body"):
                    # a body in parts, such as a file: passed on as it is
                    await send(started)
                    started = None
                else:
                    first, started = _tagged(started, message, known), None
                    await send(first)
                    if first["status"] == 304:
                        message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self.app(scope, receive, send_tagged)


def _has_tag(started: Message) -> bool:
    """Whether the route has given a validator of its own, as for a file."""
    return any(name == b"etag" for name, _ in started["headers"])


def _tagged(started: Message, body: Message, known: str | None) -> Message:
    tag = entity_tag(body.get("body", b""))
    headers = [*started["headers"], (b"etag", tag.encode())]
    have = [each.strip().removeprefix("W/") for each in (known or "").split(",")]
    # the validator of the very body that the caller has: the plain one, or the packed one
    same = next((each for each in have if each in (tag, gzip_etag(tag))), tag if "*" in have else None)
    if same is None:
        return {**started, "headers": headers}
    unfit = (b"content-length", b"content-type", b"etag")
    kept = [(name, value) for name, value in headers if name not in unfit]
    return {**started, "status": 304, "headers": [*kept, (b"etag", same.encode())]}


class Gzip(GZipMiddleware):
    """Packs answers, but no pictures: they are packed already, and are fetched in parts."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(FILES):
            await self.app(scope, receive, send)
            return
        await super().__call__(scope, receive, send)


class GzipTags:
    """An encoded body is another one, and needs another ETag (RFC 9110, 8.8.3)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                if (b"content-encoding", b"gzip") in headers:
                    message["headers"] = [
                        (name, gzip_etag(value.decode()).encode() if name == b"etag" else value)
                        for name, value in headers
                    ]
            await send(message)

        await self.app(scope, receive, send_marked)


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
        while read < MOST_PASSED_OVER:
            try:
                message = await asyncio.wait_for(receive(), LONGEST_SILENCE)
            except TimeoutError:
                return
            read += len(message.get("body", b""))
            if not message.get("more_body"):
                return
