"""The way out for sources that nobody vouches for: a proxy in this process, which looks at where it connects to.

The client libraries of stores look up names and follow redirects by themselves, and let nobody see the addresses. So
they are made to go through this: it looks a name up, refuses it if one of its addresses is not allowed, and connects to
the very address that it has looked at. A redirect, and a name that leads elsewhere the next time, come by here as well;
over plain http, a redirect to another host is not followed at all.

It listens on the loopback interface, and serves only who knows its secret. It takes CONNECT for https, and GET and HEAD
with whole addresses for http; answers are passed on as they come.
"""

import asyncio
import base64
import binascii
import hmac
import re
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, cast

from storage.networks import Networks
from storage.sources import Source, StorageError

LOOPBACK = "127.0.0.1"
CONNECT_WITHIN = 3.0
"""Seconds to look up a name, and as many to connect."""
SAID_WITHIN = 1.5
"""Seconds to say where a name leads, for people who wait."""
FIRST_WORDS_WITHIN = 10.0
"""Seconds in which who connects has to say what is wanted."""
LONGEST_HEAD = 64 * 1024
LOOKUPS_AT_ONCE = 16
REMEMBERED = 1000
"""Sources of which is known when they were refused last."""
NOT_ALLOWED = "NotAllowed"
ADVICE = (
    "Only a superuser can have a source in a network that is not public: ask one to save the address of this source,"
    " or the operator to allow its network for all (NIGHTJAR_STORAGE_NETWORKS)"
)

# the client library takes its secret along to the same host only: so this is what a redirect elsewhere comes to
ELSEWHERE = (
    f"<Error><Code>{NOT_ALLOWED}</Code>"
    "<Message>The store sends on to another address, which is not followed: give that one itself</Message></Error>"
)

SocketAddress = tuple[Any, ...]
Resolve = Callable[[str, int], Sequence[tuple[Any, ...]]]
"""`socket.getaddrinfo`, or what stands for it."""

_TUNNEL = re.compile(r"CONNECT (\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]]+):(\d{1,5}) HTTP/1\.[01]")
_REQUEST = re.compile(
    r"(GET|HEAD) http://(\[[0-9a-fA-F:.]+\]|[^\s:/?#@\[\]]+)(?::(\d{1,5}))?([/?]\S*)? HTTP/1\.1",
    re.IGNORECASE,
)
_BODY = re.compile(r"^(transfer-encoding:|content-length: *(?!0*\r?$))", re.IGNORECASE | re.MULTILINE)
_CREDENTIALS = re.compile(r"^proxy-authorization: *basic +([\w+/=]+) *\r?$", re.IGNORECASE | re.MULTILINE)
_OURS = ("proxy-authorization:", "proxy-connection:")


class Reach(Enum):
    """Where a name leads."""

    ALLOWED = "anybody may go there"
    PRIVATE = "only sources that a superuser vouches for"
    UNKNOWN = "it cannot be looked up"


def resolve(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class Refused(Exception):
    """An address that is not to be connected to."""


@dataclass
class Way:
    """How one source reaches its store, and whether it was kept from that."""

    egress: "Egress | None" = None
    name: str = ""
    proxy_url: str | None = None
    """Null for a source that somebody vouches for, which goes by itself."""
    since: float = field(default_factory=time.monotonic)

    def went_well(self) -> None:
        """So far: a refusal of before has nothing to do with what happens next."""
        self.since = time.monotonic()

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Raise StorageError with `NotAllowed` in place of what a client library makes of a refusal."""
        try:
            yield
        except StorageError:
            if self.egress is not None and self.egress.has_refused(self.name, self.since):
                raise StorageError(NOT_ALLOWED, ADVICE, passing=False) from None
            raise


class Egress:
    """The proxy of one process; it starts when it is first needed. To be closed."""

    def __init__(self, networks: Networks | None = None, resolve: Resolve = resolve) -> None:
        self.networks = networks or Networks()
        self._resolve = resolve
        self._secret = secrets.token_urlsafe(32)
        self._names = ThreadPoolExecutor(LOOKUPS_AT_ONCE, "looking-up-names")
        self._refused: OrderedDict[str, float] = OrderedDict()
        self._starting = asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._port = 0
        self.clients: set[Client] = set()

    async def way(self, source: Source) -> Way:
        """The way of a source: through the proxy, unless somebody vouches for it."""
        if source.trusted:
            return Way()
        async with self._starting:
            if self._server is None:
                loop = asyncio.get_running_loop()
                self._server = await loop.create_server(lambda: Client(self), LOOPBACK, 0)
                self._port = self._server.sockets[0].getsockname()[1]
        # not the source itself, which has keys in it
        name = hmac.digest(self._secret.encode(), repr(vars(source)).encode(), "sha256").hex()[:32]
        return Way(self, name, f"http://{name}:{self._secret}@{LOOPBACK}:{self._port}")

    async def close(self) -> None:
        """End it, with every connection."""
        if self._server is not None:
            self._server.close()
            for client in list(self.clients):
                client.abort()
            await self._server.wait_closed()
            self._server = None
        self._names.shutdown(wait=False, cancel_futures=True)

    # addresses ------------------------------------------------------------------------------------------------

    async def reach(self, source: Source) -> Reach:
        """Where the address of a store leads at this moment."""
        if not source.endpoint_url:
            return Reach.ALLOWED
        if (host := source.host) is None:
            return Reach.UNKNOWN
        try:
            async with asyncio.timeout(SAID_WITHIN):
                await self.addresses(host, 443)
        except Refused:
            return Reach.PRIVATE
        except OSError:
            return Reach.UNKNOWN
        return Reach.ALLOWED

    async def addresses(self, host: str, port: int) -> list[tuple[int, SocketAddress]]:
        """The addresses of a name, each with its family; raises Refused if one of them is not allowed, and OSError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                found = await loop.run_in_executor(self._names, self._resolve, host.strip("[]"), port)
        except (ValueError, OverflowError) as error:
            # what no name and no port can be
            raise OSError(f"{host} is no name") from error
        addresses = [(family, address) for family, _, _, _, address in found]
        for _, address in addresses:
            if not self.networks.allow(address[0]) or (len(address) > 3 and address[3]):
                raise Refused
        return addresses

    async def connect(self, host: str, port: int) -> socket.socket:
        """A connection to an address that has been looked at; raises Refused, and OSError if nobody answers."""
        loop = asyncio.get_running_loop()
        last = OSError(f"{host} has no address")
        for family, address in await self.addresses(host, port):
            found = socket.socket(family, socket.SOCK_STREAM)
            found.setblocking(False)
            try:
                async with asyncio.timeout(CONNECT_WITHIN):
                    await loop.sock_connect(found, address)
            except OSError as error:
                found.close()
                last = error
            except BaseException:
                found.close()
                raise
            else:
                return found
        raise last

    # who asks -------------------------------------------------------------------------------------------------

    def name_of(self, head: str) -> str | None:
        """Whose request it is; None for who does not know the secret."""
        given = _CREDENTIALS.search(head)
        try:
            text = base64.b64decode(given[1] if given else "", validate=True)
        except binascii.Error:
            return None
        name, _, secret = text.partition(b":")
        known = hmac.compare_digest(secret, self._secret.encode())
        return name.decode("latin-1") if known else None

    def refuse(self, name: str) -> None:
        self._refused[name] = time.monotonic()
        self._refused.move_to_end(name)
        if len(self._refused) > REMEMBERED:
            self._refused.popitem(last=False)

    def has_refused(self, name: str, since: float) -> bool:
        """Whether a source was kept from an address since some moment of `time.monotonic`."""
        return self._refused.get(name, -1.0) >= since


class _Half(asyncio.Protocol):
    """One of two connections, of which each writes what the other reads, as fast as that takes it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Half | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are of no class of asyncio's
        self.transport = cast(asyncio.Transport, transport)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def pass_on(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def end(self) -> None:
        """Close it, once what was written is out."""
        if self.transport is not None:
            self.transport.close()


class Store(_Half):
    """The connection to a store."""

    def data_received(self, data: bytes) -> None:
        self.pass_on(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.end()


class Client(_Half):
    """The connection of a client library, whose requests come one after another."""

    def __init__(self, egress: Egress) -> None:
        super().__init__()
        self._egress = egress
        self._received = b""
        self._tunnel = False
        self._store: tuple[str, int] | None = None
        self._work: asyncio.Task[None] | None = None
        self._silent: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._egress.clients.add(self)
        self._silent = asyncio.get_running_loop().call_later(FIRST_WORDS_WITHIN, self.end)

    def abort(self) -> None:
        """Close it now, whatever has not been written."""
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._egress.clients.discard(self)
        for each in (self._silent, self._work):
            if each is not None:
                each.cancel()
        self._leave_store()

    def data_received(self, data: bytes) -> None:
        if self._tunnel:
            self.pass_on(data)
            return
        self._received += data
        if len(self._received) > LONGEST_HEAD:
            self._answer("431 Request Header Fields Too Large")
        elif self._work is None:
            self._take_request()

    def _take_request(self) -> None:
        """Begin with the next request, if all of its head is there."""
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found or self.transport is None or self.transport.is_closing():
            return
        self._received = rest
        self._work = asyncio.get_running_loop().create_task(self._serve(head.decode("latin-1")))

    async def _serve(self, head: str) -> None:
        if self._silent is not None:
            self._silent.cancel()
        name = self._egress.name_of(head)
        if name is None:
            self._answer("407 Proxy Authentication Required", ELSEWHERE)
            return
        line, _, headers = head.partition("\r\n")
        try:
            if tunnel := _TUNNEL.fullmatch(line):
                await self._go_to(tunnel[1], int(tunnel[2]))
                self._begin_tunnel()
            elif (request := _REQUEST.fullmatch(line)) and not _BODY.search(headers):
                await self._go_to(request[2], int(request[3] or 80))
                path = request[4] or "/"
                self._ask(request[1], path if path.startswith("/") else f"/{path}", headers)
            else:
                self._answer("400 Bad Request")
        except Refused:
            self._egress.refuse(name)
            self._answer("403 Forbidden")
        except OSError:
            # the client library takes it for a store that does not answer
            self.end()

    async def _go_to(self, host: str, port: int) -> None:
        """Be connected to that store; a connection to another one ends."""
        if self._store == (host, port) and self.other is not None:
            return
        self._leave_store()
        connected = await self._egress.connect(host, port)
        store = Store()
        store.other = self
        try:
            await asyncio.get_running_loop().create_connection(lambda: store, sock=connected)
        except BaseException:
            connected.close()
            raise
        self.other, self._store = store, (host, port)

    def _leave_store(self) -> None:
        if self.other is not None:
            self.other.other = None
            self.other.end()
            self.other = self._store = None

    def _begin_tunnel(self) -> None:
        assert self.transport is not None
        self._tunnel = True
        self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        rest, self._received = self._received, b""
        if rest:
            self.pass_on(rest)

    def _ask(self, method: str, path: str, headers: str) -> None:
        kept = [line for line in headers.split("\r\n") if not line.lower().startswith(_OURS)]
        self.pass_on("\r\n".join((f"{method} {path} HTTP/1.1", *kept, "", "")).encode("latin-1"))
        self._work = None
        self._take_request()

    def _answer(self, status: str, body: str = "") -> None:
        """Say no, and end the connection."""
        if self.transport is not None:
            head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(f"{head}{body}".encode("latin-1"))
            self.end()
