"""Absolute addresses in bodies: scheme and host of the request, and the format it asked for (contract 1.10)."""

from urllib.parse import urlencode

from fastapi import Request

from api.http import queries

PREFIX = "/api/v2"
FILES = "/files/captures"


class Links:
    """Makes the addresses that one response needs."""

    def __init__(self, request: Request) -> None:
        host = f"{request.url.scheme}://{request.url.netloc}"
        self._root, self._files = f"{host}{PREFIX}", f"{host}{FILES}"
        chosen = queries.last(request, "format")
        self._query = f"?{urlencode({'format': chosen})}" if chosen else ""
        # the addresses in a response to one that ended in .json end in it too
        self._end = f".{suffix}" if (suffix := request.scope.get("format_suffix")) else "/"

    def to(self, path: str, item_id: int) -> str:
        """One thing, such as `jobs` 7."""
        return f"{self._root}/{path}/{item_id}{self._end}{self._query}"

    def file(self, capture_id: int, query: str) -> str:
        """The file of a capture, for whoever has its signed query."""
        return f"{self._files}/{capture_id}?{query}"

    def listing(self, path: str, **parameters: int | str) -> str:
        """A list, narrowed by its query parameters."""
        return f"{self._root}/{path}/?{urlencode(parameters)}"

    def root(self, path: str) -> str:
        """A list as it is."""
        return f"{self._root}/{path}/{self._query}"


def page_address(request: Request, limit: int, offset: int) -> str:
    """The address of another page of a list: every other parameter kept, sorted; no offset for the first."""
    parameters = {key: value for key, value in request.query_params.items() if key != "offset"}
    parameters["limit"] = str(limit)
    if offset > 0:
        parameters["offset"] = str(offset)
    address = str(request.url.replace(query=""))
    if suffix := request.scope.get("format_suffix"):
        address = f"{address.removesuffix('/')}.{suffix}"
    return f"{address}?{urlencode(sorted(parameters.items()))}"
