"""The envelope of lists (contract 1.3)."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request

from api.links import page_address


def envelope(
    request: Request, results: Sequence[Any], *, count: int, limit: int, offset: int, permissions: list[str]
) -> dict[str, Any]:
    """One page of a list, with the addresses of its neighbours."""
    following, before = offset + limit, max(offset - limit, 0)
    return {
        "count": count,
        "next": page_address(request, limit, following) if following < count else None,
        "previous": page_address(request, limit, before) if offset > 0 else None,
        "results": results,
        "user_permissions": permissions,
    }
