"""Every address of the API, and what may be done there."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.routing import Route, compile_path

from api.http.links import PREFIX

_ORDER = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


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
