"""Buckets of S3 and of whatever speaks its language: AWS, MinIO, SeaweedFS, Ceph."""

import re
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, InvalidPathError
from obstore.store import S3Store

from storage import s3_fallback
from storage.egress import ADVICE, NOT_ALLOWED, Egress, Way
from storage.places import folder
from storage.sources import PAGE, Page, Source, StorageError, StoredObject

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config

NO_REGION = "us-east-1"
"""What stores are told that have no regions."""
SIGNED_FOR = timedelta(days=7)
SIGNED_ANEW = timedelta(days=1)
"""An address is kept for so long, so that it stays the same for who has fetched it before."""
CONNECT_WITHIN = timedelta(seconds=3)
ANSWER_WITHIN = timedelta(seconds=15)
RETRY_FOR = timedelta(seconds=5)
CHUNK = 64 * 1024
ODD_KEY = "InvalidKey"
"""The code of what the client library says of keys that it cannot name: another library can."""

_CREDENTIALS = ("AccessDenied", "NoSuchKey", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_STATUS = re.compile(r"non-2xx status code: (\d{3} [\w ]+)")


_PORT = r"([1-5]?\d{1,4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"
_ENDPOINT = re.compile(
    rf"(https?://([\w.-]+|\[[0-9a-f:.]+\])(:{_PORT})?(/[\w.~/-]*)?)?", re.ASCII | re.IGNORECASE
)
_BUCKET = re.compile(r"[\w.:-]{1,255}", re.ASCII)
# AWS has both as parts of a host name
_BUCKET_IN_A_NAME = re.compile(r"[\w-]([\w.-]{0,253}[\w-])?", re.ASCII)
_REGION = re.compile(r"[\w-]{1,63}", re.ASCII)
_VISIBLE = re.compile(r"[!-~]*")


async def pages(
    source: Source, subdir: str | None = None, after: str | None = None, egress: Egress | None = None
) -> AsyncGenerator[Page, None]:
    """The objects of a bucket in its own order, a page at a time; those `after` a key, if one is given.

    Without `egress` only a source that is trusted is asked. Raises StorageError with the store's own cause.
    """
    prefix, last = folder(source.prefix, subdir), after
    way = await _way(source, egress)
    with way.telling():
        try:
            async for page in _pages(source, prefix, after, way):
                last = page.objects[-1].key
                way.went_well()
                yield page
        except StorageError as error:
            if error.code != ODD_KEY:
                raise
            async for page in s3_fallback.pages(source, prefix, last, way.proxy_url):
                way.went_well()
                yield page


async def _way(source: Source, egress: Egress | None) -> Way:
    """How a source is reached; raises StorageError for one that cannot be, or may not."""
    _check_form(source)
    if egress is not None:
        return await egress.way(source)
    if not source.trusted:
        raise StorageError(NOT_ALLOWED, ADVICE, passing=False)
    return Way()


async def _pages(source: Source, prefix: str, after: str | None, way: Way) -> AsyncGenerator[Page, None]:
    try:
        store = _store(source, way.proxy_url)
        listing = obstore.list(store, prefix=prefix or None, offset=after, chunk_size=PAGE)
        async for page in listing:
            yield Page(
                [
                    StoredObject(each["path"], each["size"], each["last_modified"], _unquoted(each["e_tag"]))
                    for each in page
                ]
            )
    except (BaseError, OSError, ValueError) as error:
        raise meaning_of(error, source) from error


async def chunks(source: Source, key: str, egress: Egress | None = None) -> AsyncGenerator[bytes, None]:
    """An object from its beginning; who has seen enough stops.

    Without `egress` only a source that is trusted is asked. Raises StorageError.
    """
    way = await _way(source, egress)
    if source.trusted and not source.holds(key):
        raise StorageError("NoSuchKey", "The key is not under the prefix of the source", passing=False)
    with way.telling():
        try:
            async for chunk in _chunks(source, key, way):
                yield chunk
        except StorageError as error:
            if error.code != ODD_KEY:
                raise
            async for chunk in s3_fallback.chunks(source, key, way.proxy_url):
                yield chunk


async def _chunks(source: Source, key: str, way: Way) -> AsyncGenerator[bytes, None]:
    try:
        found = await obstore.get_async(_store(source, way.proxy_url), key)
        async for chunk in found.stream(min_chunk_size=CHUNK):
            yield bytes(chunk)
    except (BaseError, OSError, ValueError) as error:
        raise meaning_of(error, source) from error


def signed_url(source: Source, key: str) -> str | None:
    """Where an object can be fetched without keys, for six days at least; None if there is no such address.

    Nobody is asked. Who may say which objects a project has cannot have more signed than the prefix that a superuser
    vouches for.
    """
    if source.trusted and not source.holds(key):
        return None
    return _signed_url(source, key, int(time.time() // SIGNED_ANEW.total_seconds()))


@lru_cache(maxsize=50_000)
def _signed_url(source: Source, key: str, _day: int) -> str | None:
    try:
        return str(obstore.sign(store_of(source), "GET", key, SIGNED_FOR))
    except StorageError:
        return None
    except (BaseError, TypeError, ValueError):
        with suppress(StorageError):
            return s3_fallback.signed_url(source, key, SIGNED_FOR)
        return None


def store_of(source: Source) -> S3Store:
    """The client of a source, which asks the store itself: for signing, and for one that is trusted.

    Nothing is asked yet. Raises StorageError for what no store can have.
    """
    return _store(source, None)


def _check_form(source: Source) -> None:
    """Raises StorageError for what no store can have: the client library does not survive all of that."""
    region = source.region or NO_REGION
    for code, what, value, form in (
        ("InvalidEndpoint", "The address of the store", source.endpoint_url or "", _ENDPOINT),
        (
            "InvalidBucketName",
            "The name of the bucket",
            source.bucket,
            _BUCKET if source.endpoint_url else _BUCKET_IN_A_NAME,
        ),
        ("InvalidRegion", "The region", region, _REGION),
        ("InvalidCredentials", "The access key", source.access_key, _VISIBLE),
    ):
        if not form.fullmatch(value):
            raise StorageError(code, f"{what} cannot be one", passing=False)


@lru_cache(maxsize=500)
def _store(source: Source, proxy_url: str | None) -> S3Store:
    _check_form(source)
    region = source.region or NO_REGION
    config: S3Config = {
        "region": region,
        # MinIO, SeaweedFS and Ceph have no host name for each bucket
        "virtual_hosted_style_request": not source.endpoint_url,
        "skip_signature": not source.access_key,
    }
    if source.endpoint_url:
        config["endpoint"] = source.endpoint_url
    if source.access_key:
        config |= {"access_key_id": source.access_key, "secret_access_key": source.secret_key}
    plain = (source.endpoint_url or "").startswith("http://")
    options: ClientConfig = {
        "allow_http": plain,
        "connect_timeout": CONNECT_WITHIN,
        "timeout": ANSWER_WITHIN,
    }
    if proxy_url is not None:
        options["proxy_url"] = proxy_url
    return S3Store(
        source.bucket,
        config=config,
        client_options=options,
        retry_config={"max_retries": 3, "retry_timeout": RETRY_FOR},
    )


def _unquoted(etag: str | None) -> str | None:
    return etag.strip('"') if etag else None


def meaning_of(error: Exception, source: Source) -> StorageError:
    """What an error of the client library means: its text holds the store's answer, and no keys."""
    text = str(error)
    status = _STATUS.search(text)
    if isinstance(error, FileNotFoundError):
        return StorageError("NoSuchKey", f"There is no such object (bucket {source.bucket})", passing=False)
    if isinstance(error, InvalidPathError | ValueError):
        words = text.split("\n", 1)[0]
        return StorageError(ODD_KEY, f"{words} (bucket {source.bucket})", passing=False)
    if status is None:
        return _without_status(text, source.endpoint_url or f"AWS, region {source.region or NO_REGION}")
    code = found[1] if (found := _CODE.search(text)) else status[1].title().replace(" ", "")
    message = found[1] if (found := _MESSAGE.search(text)) else status[1]
    if code in _CREDENTIALS:
        return StorageError("InvalidCredentials", f"The store refuses the keys: {message}", passing=False)
    passing = int(status[1][:3]) >= 500 or status[1].startswith(("408", "429"))
    return StorageError(code, f"{message} (bucket {source.bucket})", passing=passing)


def _without_status(text: str, where: str) -> StorageError:
    """What it means that a store has not answered, or not as stores do."""
    if "invalid list response" in text:
        return StorageError("InvalidResponse", f"{where} does not answer as an S3 store does", passing=False)
    if "response body" in text:
        return StorageError("ConnectionClosedError", f"The connection to {where} broke off", passing=True)
    if "TimedOut" in text:
        return StorageError("ReadTimeoutError", f"{where} does not answer", passing=True)
    return StorageError("EndpointConnectionError", f"Could not connect to {where}", passing=True)
