"""Object stores that captures lie in, and what their errors mean (domain 3.3, 3.6)."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urljoin

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from storage.places import folder

PAGE = 1000
"""Objects of one page of a listing: as many as a store gives at once."""
NO_REGION = "us-east-1"
"""What stores are told that have no regions."""
SIGNED_FOR = timedelta(days=7)
CONNECT_WITHIN = timedelta(seconds=3)
ANSWER_WITHIN = timedelta(seconds=15)
RETRY_FOR = timedelta(seconds=5)

_CREDENTIALS = ("AccessDenied", "NoSuchKey", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_STATUS = re.compile(r"non-2xx status code: (\d{3} [\w ]+)")


@dataclass(frozen=True)
class Source:
    """A bucket, and how it is reached."""

    bucket: str
    prefix: str = ""
    region: str | None = None
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    endpoint_url: str | None = None
    """Null for AWS itself."""


@dataclass(frozen=True)
class StoredObject:
    """One object, as a listing tells of it."""

    key: str
    size: int
    last_modified: datetime
    etag: str | None


class StorageError(Exception):
    """A store that does not do what it is asked; `code` is one of domain 3.6, or the store's own."""

    def __init__(self, code: str, message: str, *, passing: bool) -> None:
        super().__init__(message)
        self.code = code
        self.passing = passing
        """Whether trying again may help."""


async def pages(
    source: Source, subdir: str | None = None, after: str | None = None
) -> AsyncIterator[list[StoredObject]]:
    """The objects of a source in the order of their keys, a page at a time; those `after` a key, if one is given.

    Raises StorageError with the store's own cause.
    """
    try:
        listing = obstore.list(
            store_of(source), prefix=folder(source.prefix, subdir) or None, offset=after, chunk_size=PAGE
        )
        async for page in listing:
            yield [
                StoredObject(each["path"], each["size"], each["last_modified"], _unquoted(each["e_tag"]))
                for each in page
            ]
    except BaseError as error:
        raise meaning_of(error, source) from error


async def url_of(source: Source, key: str, public_base_url: str | None) -> str | None:
    """Where an object can be fetched without keys (domain 1.2): below the public address of the bucket, or signed."""
    if public_base_url:
        return urljoin(public_base_url, key)
    if not source.access_key:
        return None
    return str(await obstore.sign_async(store_of(source), "GET", key, SIGNED_FOR))


def store_of(source: Source) -> S3Store:
    """The client of a source; nothing is asked yet."""
    plain = (source.endpoint_url or "").startswith("http://")
    return S3Store(
        source.bucket,
        endpoint=source.endpoint_url or None,
        region=source.region or NO_REGION,
        access_key_id=source.access_key or None,
        secret_access_key=source.secret_key or None,
        skip_signature=not source.access_key,
        # MinIO, SeaweedFS and Ceph have no host name for each bucket
        virtual_hosted_style_request=not source.endpoint_url,
        client_options={"allow_http": plain, "connect_timeout": CONNECT_WITHIN, "timeout": ANSWER_WITHIN},
        retry_config={"max_retries": 3, "retry_timeout": RETRY_FOR},
    )


def _unquoted(etag: str | None) -> str | None:
    return etag.strip('"') if etag else None


def meaning_of(error: BaseError, source: Source) -> StorageError:
    """What an error of the client library means: its text holds the store's answer, and no keys."""
    text = str(error)
    status = _STATUS.search(text)
    if status is None:
        where = source.endpoint_url or f"AWS, region {source.region or NO_REGION}"
        return StorageError("EndpointConnectionError", f"Could not connect to {where}", passing=True)
    code = found[1] if (found := _CODE.search(text)) else status[1].title().replace(" ", "")
    message = found[1] if (found := _MESSAGE.search(text)) else status[1]
    if code in _CREDENTIALS:
        return StorageError("InvalidCredentials", f"The store refuses the keys: {message}", passing=False)
    passing = int(status[1][:3]) >= 500 or status[1].startswith(("408", "429"))
    return StorageError(code, f"{message} (bucket {source.bucket})", passing=passing)
