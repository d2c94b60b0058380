"""What holds for every address of the API: both slash forms, the `Allow` and `Vary` headers (contract 1.1, 1.10)."""

from collections import defaultdict
from collections.abc import Iterable

from fastapi import APIRouter
from starlette.routing import Route, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.links import PREFIX

_ORDER = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
VARY = (b"vary", b"Accept, Accept-Language, origin")


class AllowedMethods:
    """The `Allow` header of each address."""

    def __init__(self, routers: Iterable[APIRouter]) -> None:
        """Several routes may share a path, one a method."""
        methods: dict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
        for route in (route for router in routers for route in router.routes):
            if isinstance(route, Route) and route.methods:
                methods[route.path] |= route.methods
                if "GET" in route.methods:
                    methods[route.path].add("HEAD")
        self._allowed = [
            (compile_path(PREFIX + path)[0], ", ".join(each for each in _ORDER if each in names).encode())
            for path, names in methods.items()
        ]

    def of(self, path: str) -> bytes | None:
        """The header for a path; None where there is no such address."""
        return next((allowed for pattern, allowed in self._allowed if pattern.match(path)), None)


class Conventions:
    """Serves both slash forms without a redirect, and adds the headers."""

    def __init__(self, app: ASGIApp, allow: AllowedMethods) -> None:
        self.app = app
        self.allow = allow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self.app(scope, receive, send)
            return
        if not scope["path"].endswith("/"):
            scope["path"] += "/"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                allow = self.allow.of(scope["path"])
                headers = [(name, value) for name, value in message["headers"] if name != b"allow"]
                message["headers"] = [*headers, VARY, *([(b"allow", allow)] if allow else [])]
            await send(message)

        await self.app(scope, receive, send_with_headers)
