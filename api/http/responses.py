"""JSON responses, written in one pass."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response

# not NaN, not a zone: times arrive naive, in the zone that the API prints (contract 1.4)
_OPTIONS = orjson.OPT_NON_STR_KEYS


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response with that body as JSON; parts may be `orjson.Fragment`, JSON already."""
    return Response(
        orjson.dumps(body, option=_OPTIONS),
        status,
        None if headers is None else dict(headers),
        media_type="application/json",
    )


def gzip_etag(tag: str) -> str:
    """The validator of the same body as gzip: another body, which needs another one."""
    return f'{tag[:-1]}-gzip"'


def entity_tag(body: bytes | memoryview) -> str:
    """The strong validator of a body (RFC 9110, 8.8.3): equal tags mean equal bytes."""
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
