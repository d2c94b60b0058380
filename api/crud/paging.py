"""The envelope of lists (contract 1.3)."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request, Response

from api.http.links import page_address
from api.http.responses import json_response


def envelope(
    request: Request, results: Sequence[Any], *, count: int, limit: int, offset: int, permissions: list[str]
) -> Response:
    """One page of a list, with the addresses of its neighbours, also as `Link` headers (RFC 8288)."""
    following, before = offset + limit, max(offset - limit, 0)
    neighbours = {
        "next": page_address(request, limit, following) if following < count else None,
        "previous": page_address(request, limit, before) if offset > 0 else None,
    }
    links = {**neighbours, "first": page_address(request, limit, 0)}
    if count:
        links["last"] = page_address(request, limit, (count - 1) // limit * limit)
    relations = {"previous": "prev"}
    body = {"count": count, **neighbours, "results": results, "user_permissions": permissions}
    header = ", ".join(
        f'<{address}>; rel="{relations.get(name, name)}"' for name, address in links.items() if address
    )
    return json_response(body, headers={"Link": header})
