"""What holds for every address of the API: both slash forms, the `Allow` and `Vary` headers (contract 1.1, 1.10)."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.links import PREFIX

_ORDER = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
VARY = (b"vary", b"Accept, Accept-Language, origin")


class AllowedMethods:
    """The `Allow` header of each address."""

    def __init__(self) -> None:
        self._by_path: dict[str, bytes] = {}
        self._routes: list[Route] = []

    def learn(self, routes: Iterable[BaseRoute]) -> None:
        """Take note of all routes: several may share a path, one a method."""
        methods: dict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
        for route in routes:
            if isinstance(route, Route) and route.methods:
                self._routes.append(route)
                methods[route.path] |= route.methods
                if "GET" in route.methods:
                    methods[route.path].add("HEAD")
        for path, names in methods.items():
            self._by_path[path] = ", ".join(name for name in _ORDER if name in names).encode()

    def of(self, scope: Scope) -> bytes | None:
        """The header for a request; None where there is no such address."""
        route: Any = scope.get("route")
        if route is None:  # refused before a route was chosen: no method of the path fitted
            fits = (each for each in self._routes if each.path_regex.match(scope["path"]))
            route = next(fits, None)
        return None if route is None else self._by_path.get(route.path)


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
                allow = self.allow.of(scope)
                headers = [(name, value) for name, value in message["headers"] if name != b"allow"]
                message["headers"] = [*headers, VARY, *([(b"allow", allow)] if allow else [])]
            await send(message)

        await self.app(scope, receive, send_with_headers)
