"""Buckets with keys of which the main client library makes nothing: two slashes in a row, dots as a folder.

Stores allow them, and tools leave them behind. They are listed, read and signed by another library, which takes several
times as long and lets nothing pass that stores allow; it is loaded when the first such key turns up.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from functools import lru_cache
from typing import Any

from storage.sources import PAGE, Page, Source, StorageError, StoredObject

CONNECT_WITHIN, ANSWER_WITHIN = 3, 15
"""Seconds, as of the main library."""
CHUNK = 64 * 1024
_REFUSED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "403")


async def pages(
    source: Source, prefix: str, after: str | None, proxy_url: str | None = None
) -> AsyncGenerator[Page, None]:
    """The objects under a prefix, after a key, a page at a time. Raises StorageError."""
    walk = _pages(source, prefix, after, proxy_url)
    while (page := await asyncio.to_thread(next, walk, None)) is not None:
        yield page


def _pages(source: Source, prefix: str, after: str | None, proxy_url: str | None) -> Iterator[Page]:
    given = {"Bucket": source.bucket, "Prefix": prefix, "MaxKeys": PAGE}
    if after is not None:
        given["StartAfter"] = after
    with _as_known():
        for page in _client(source, proxy_url).get_paginator("list_objects_v2").paginate(**given):
            yield Page([_stored(each) for each in page.get("Contents", ())])


async def chunks(source: Source, key: str, proxy_url: str | None = None) -> AsyncGenerator[bytes, None]:
    """An object from its beginning. Raises StorageError."""
    body = await asyncio.to_thread(_body, source, key, proxy_url)
    try:
        with _as_known():
            while chunk := await asyncio.to_thread(body.read, CHUNK):
                yield chunk
    finally:
        body.close()


def _body(source: Source, key: str, proxy_url: str | None) -> Any:
    with _as_known():
        return _client(source, proxy_url).get_object(Bucket=source.bucket, Key=key)["Body"]


def signed_url(source: Source, key: str, good_for: timedelta) -> str:
    """Where such an object can be fetched without keys. Raises StorageError."""
    with _as_known():
        return str(
            _client(source, None).generate_presigned_url(
                "get_object",
                Params={"Bucket": source.bucket, "Key": key},
                ExpiresIn=int(good_for.total_seconds()),
            )
        )


@lru_cache(maxsize=100)
def _client(source: Source, proxy_url: str | None) -> Any:
    """The client of a source, which goes through a proxy if one is given, whatever the environment says of proxies."""
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config

    return botocore.session.get_session().create_client(
        "s3",
        region_name=source.region or "us-east-1",
        endpoint_url=source.endpoint_url or None,
        aws_access_key_id=source.access_key or None,
        aws_secret_access_key=source.secret_key or None,
        config=Config(
            signature_version="s3v4" if source.access_key else UNSIGNED,
            s3={"addressing_style": "path" if source.endpoint_url else "auto"},
            connect_timeout=CONNECT_WITHIN,
            read_timeout=ANSWER_WITHIN,
            retries={"mode": "standard", "total_max_attempts": 3},
            proxies=None if proxy_url is None else {"http": proxy_url, "https": proxy_url},
        ),
    )


@contextmanager
def _as_known() -> Iterator[None]:
    """Let the library's errors leave as ours."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectionError,  # noqa: A004 - theirs, of everything on the way to the store
        HTTPClientError,
        IncompleteReadError,
        ProxyConnectionError,
    )

    try:
        yield
    except ClientError as error:
        said = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code, words = said.get("Code", "ClientError"), said.get("Message", "")
        passing = status >= 500 or status in (408, 429)
        if code in _REFUSED:
            code, words = "InvalidCredentials", f"The store refuses the keys: {words}"
        raise StorageError(code, words, passing=passing) from error
    except ProxyConnectionError as error:
        # the proxy is ours and always there: it is the store that is not
        raise StorageError(
            "EndpointConnectionError", "Could not connect to the store", passing=True
        ) from error
    except RecursionError as error:
        # the library asks a store that sends on to nowhere for its region, and again, and again
        words = "The store sends on to somewhere else"
        raise StorageError("InvalidResponse", words, passing=False) from error
    except (ConnectionError, HTTPClientError, IncompleteReadError) as error:
        raise StorageError(type(error).__name__, str(error), passing=True) from error
    except BotoCoreError as error:
        # what is said of the source does not fit
        raise StorageError(type(error).__name__, " ".join(str(error).split()), passing=False) from error
    except ValueError as error:
        raise StorageError("InvalidEndpoint", str(error), passing=False) from error


def _stored(each: dict[str, Any]) -> StoredObject:
    etag = each.get("ETag", "").strip('"') or None
    return StoredObject(each["Key"], each["Size"], each["LastModified"].astimezone(UTC), etag)
