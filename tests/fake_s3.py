"""An S3 server that lists from memory, as fast as can be, and fails when told to: `python -m tests.fake_s3`."""

import argparse
import asyncio
import gc
import io
import re
import socket
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from types import TracebackType
from typing import Self, cast
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

import uvloop
from PIL import Image

from embedded.ports import LOOPBACK
from storage.sources import PAGE, Source, StoredObject

PREFIX = "demo"
"""What all made-up keys begin with."""
EVERY = timedelta(seconds=30)
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
A_NIGHT = 1000
WRITTEN = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
SEND_BUFFER = 4 * 1024 * 1024
"""A page goes out at once, and does not wait for who reads it."""

_REASONS = {
    200: "OK",
    206: "Partial Content",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    416: "Range Not Satisfiable",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}
_RANGE = re.compile(r"^range: *bytes=(?!-\r)(\d*)-(\d*)\r$", re.IGNORECASE | re.MULTILINE)


# objects ------------------------------------------------------------------------------------------------------


def made_up(count: int) -> Iterator[StoredObject]:
    """Pictures of a camera that takes one every thirty seconds, in the order of their keys."""
    for number in range(count):
        at = FIRST + number * EVERY
        key = f"{PREFIX}/station-1/night-{number // A_NIGHT + 1:05}/{at:%Y%m%d%H%M%S}-snapshot.jpg"
        yield StoredObject(key, 500_000 + number % 1000, at + timedelta(hours=1), f"{number:032x}")


def given(sizes: Iterable[tuple[str, int]]) -> Iterator[StoredObject]:
    """Objects of keys and sizes, in the order of a store: that of their bytes."""
    for number, (key, size) in enumerate(sorted(sizes, key=lambda each: each[0].encode())):
        yield StoredObject(key, size, WRITTEN, f"{number:032x}")


@cache
def picture() -> bytes:
    """What is in every object, whatever size the listing tells."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48)).save(file, "JPEG")
    return file.getvalue()


def _bytes_of(stored: StoredObject) -> bytes:
    return stored.key.encode()


def _entry(stored: StoredObject) -> str:
    return (
        f"<Contents><Key>{escape(stored.key)}</Key>"
        f"<LastModified>{stored.last_modified.isoformat()[:19]}.000Z</LastModified>"
        f"<ETag>&quot;{stored.etag}&quot;</ETag><Size>{stored.size}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


# faults -------------------------------------------------------------------------------------------------------


@dataclass
class Fault:
    """What befalls a listing request."""

    met: int = field(default=0, init=False)
    """How many requests have met it."""


@dataclass
class Refusal(Fault):
    """An error of S3 in place of the page."""

    status: int
    code: str


@dataclass
class Cut(Fault):
    """The connection ends in the middle of the page."""


@dataclass
class Silence(Fault):
    """The page comes after a while in which nothing is said."""

    seconds: float


# answers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """A response as it goes out, in one write."""

    parts: Sequence[bytes]
    after: float = 0.0
    last: bool = False
    """Whether the connection ends with it."""

    def cut(self) -> "Answer":
        whole = b"".join(self.parts)
        return Answer([whole[: len(whole) // 2]], last=True)


def _response(status: int, *body: bytes, headers: str = "", kind: str = "application/xml") -> Answer:
    length = sum(map(len, body))
    head = (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\n"
        f"content-type: {kind}\r\ncontent-length: {length}\r\n{headers}\r\n"
    )
    return Answer([head.encode(), *body])


def _refusal(status: int, code: str) -> Answer:
    words = f"The fake store says {code}."
    error = f"<Error><Code>{escape(code)}</Code><Message>{words}</Message><RequestId>0</RequestId></Error>"
    return _response(status, f'<?xml version="1.0" encoding="UTF-8"?>\n{error}'.encode())


def _content(stored: StoredObject, wanted: re.Match[str] | None) -> Answer:
    content = picture()
    headers = (
        f'etag: "{stored.etag}"\r\nlast-modified: {format_datetime(stored.last_modified, usegmt=True)}\r\n'
        "accept-ranges: bytes\r\n"
    )
    if wanted is None:
        return _response(200, content, headers=headers, kind="image/jpeg")
    first, last = wanted.groups()
    begin = int(first) if first else max(0, len(content) - int(last))
    part = content[begin : int(last) + 1 if first and last else None]
    if not part:
        return _refusal(416, "InvalidRange")
    headers += f"content-range: bytes {begin}-{begin + len(part) - 1}/{len(content)}\r\n"
    return _response(206, part, headers=headers, kind="image/jpeg")


# the server ---------------------------------------------------------------------------------------------------


class FakeS3:
    """The same objects in every bucket, while the block runs: `async with FakeS3(25) as fake`.

    Takes how many objects are to be made up, or keys and sizes. Whoever asks may list and read; nobody is asked for
    a signature.
    """

    def __init__(
        self, objects: int | Iterable[tuple[str, int]], *, latency: float = 0.0, port: int = 0
    ) -> None:
        """`latency` are the seconds that each page takes; without `port` a free one is chosen."""
        self.objects = list(made_up(objects) if isinstance(objects, int) else given(objects))
        self.latency = latency
        self.port = port
        self.listings = 0
        """Listing requests so far, those included that met a fault."""
        self._faults: dict[int, Fault] = {}
        self._pages: dict[tuple[int, int], bytes] = {}
        self._server: asyncio.Server | None = None
        self.connections: set[asyncio.Transport] = set()

    def source(self, prefix: str = "") -> Source:
        """A storage source that reaches what is here."""
        return Source(
            "moths",
            prefix,
            access_key="a",
            secret_key="b",
            endpoint_url=f"http://{LOOPBACK}:{self.port}",
            trusted=True,
        )

    def fail(self, fault: Fault, *, nth: int = 1, times: int = 1) -> None:
        """Have the n-th listing request from now, and those after it, meet a fault."""
        for number in range(nth, nth + times):
            self._faults[self.listings + number] = fault

    def warm_up(self) -> None:
        """Render the pages of a whole listing before anybody asks."""
        for begin in range(0, len(self.objects), PAGE):
            self._entries(begin, min(begin + PAGE, len(self.objects)))

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for transport in list(self.connections):
            transport.abort()
        await self._server.wait_closed()

    def answer(self, head: str) -> Answer:
        """What is said to a request."""
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        path, _, query = target.partition("?")
        bucket, _, key = unquote(path.lstrip("/")).partition("/")
        if method != "GET":
            return _refusal(405, "MethodNotAllowed")
        if key:
            return self._object(key, head)
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        if asked.pop("list-type", None) != "2" or "delimiter" in asked:
            return _refusal(501, "NotImplemented")
        return self._listing(bucket, asked)

    def _object(self, key: str, head: str) -> Answer:
        place = bisect_left(self.objects, key.encode(), key=_bytes_of)
        if place == len(self.objects) or self.objects[place].key != key:
            return _refusal(404, "NoSuchKey")
        return _content(self.objects[place], _RANGE.search(head))

    def _listing(self, bucket: str, asked: dict[str, str]) -> Answer:
        self.listings += 1
        fault = self._faults.get(self.listings)
        if fault is not None:
            fault.met += 1
        if isinstance(fault, Refusal):
            return _refusal(fault.status, fault.code)
        try:
            page = self._page(bucket, asked)
        except ValueError:
            return _refusal(400, "InvalidArgument")
        if isinstance(fault, Cut):
            return page.cut()
        return Answer(page.parts, fault.seconds if isinstance(fault, Silence) else self.latency)

    def _page(self, bucket: str, asked: dict[str, str]) -> Answer:
        prefix, after, token = (
            asked.get(name, "") for name in ("prefix", "start-after", "continuation-token")
        )
        most = min(PAGE, int(asked.get("max-keys", PAGE)))
        begin = max(bisect_left(self.objects, prefix.encode(), key=_bytes_of), int(token or 0))
        if after and not token:
            begin = max(begin, bisect_right(self.objects, after.encode(), key=_bytes_of))
        # no key has this byte
        end = bisect_left(self.objects, prefix.encode() + b"\xff", key=_bytes_of)
        stop = max(begin, min(begin + most, end))
        truncated = most > 0 and stop < end
        following = f"<NextContinuationToken>{stop}</NextContinuationToken>" if truncated else ""
        head = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix><MaxKeys>{most}</MaxKeys>"
            f"<KeyCount>{stop - begin}</KeyCount><IsTruncated>{'true' if truncated else 'false'}</IsTruncated>"
            f"{following}"
        )
        return _response(200, head.encode(), self._entries(begin, stop), b"</ListBucketResult>")

    def _entries(self, begin: int, stop: int) -> bytes:
        """The objects of a page, rendered once."""
        entries = self._pages.get((begin, stop))
        if entries is None:
            entries = "".join(map(_entry, self.objects[begin:stop])).encode()
            self._pages[begin, stop] = entries
        return entries


class Connection(asyncio.Protocol):
    """One client, whose requests come one after another."""

    def __init__(self, server: FakeS3) -> None:
        self._server = server
        self._received = b""
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are of no class of asyncio's
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(self._transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self._transport)
        if self._waiting is not None:
            self._waiting.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            self._send_later(self._server.answer(f"{head.decode('latin-1')}\r\n"))

    def _send_later(self, answer: Answer) -> None:
        if answer.after:
            loop = asyncio.get_running_loop()
            self._waiting = loop.call_later(answer.after, self._send, answer)
        else:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        self._transport.writelines(answer.parts)
        if answer.last:
            self._transport.close()


async def serve(objects: int, port: int, latency: float) -> None:
    """Serve until the process is ended."""
    fake = FakeS3(objects, latency=latency, port=port)
    fake.warm_up()
    gc.freeze()
    async with fake:
        sys.stdout.write(f"{objects:,} objects at http://{LOOPBACK}:{fake.port}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="milliseconds that each page takes")
    chosen = parser.parse_args()
    uvloop.run(serve(chosen.objects, chosen.port, chosen.latency / 1000))


if __name__ == "__main__":
    main()
