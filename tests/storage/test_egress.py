"""The way out: every address is looked at when it is connected to, whatever the client libraries do."""

import asyncio
import base64
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from embedded.ports import free_port
from storage.egress import Egress
from storage.networks import Networks
from storage.sources import Source, StorageError
from storage.stores import Stores
from tests.fake_s3 import FakeS3, picture
from tests.storage.test_buckets import filled

OTHER = "127.0.0.2"
"""Another address of this machine; no source may lie there."""
KEYS = ["dep/1.jpg", "dep/2.jpg"]
ODD = ["dep//1.jpg", "dep/2.jpg"]


class Answering:
    """A server that says the same to everybody, and counts who comes."""

    def __init__(self, answer: Callable[[], str]) -> None:
        self.answer = answer
        self.met = 0
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.met += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(self.answer().encode())
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def answering(
    answer: Callable[[], str], host: str = "127.0.0.1"
) -> AsyncIterator[tuple[Answering, int]]:
    served = Answering(answer)
    try:
        server = await asyncio.start_server(served.serve, host, 0)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    async with server:
        yield served, server.sockets[0].getsockname()[1]


def redirect(port: int, host: str = OTHER, *, status: int = 307, scheme: str = "http") -> Callable[[], str]:
    return lambda: (
        f"HTTP/1.1 {status} Elsewhere\r\nlocation: {scheme}://{host}:{port}/moths?list-type=2\r\n"
        "content-length: 0\r\nconnection: close\r\n\r\n"
    )


@pytest.fixture
async def stores() -> AsyncIterator[Stores]:
    """Sources may lie at one address of this machine only."""
    opened = Stores(networks=Networks([ip_network("127.0.0.1")]))
    yield opened
    await opened.close()


def anybodys(source: Source, **more: Any) -> Source:
    return replace(source, trusted=False, **more)


async def listed(stores: Stores, source: Source) -> list[str]:
    return [each.key async for page in stores.pages(source, "dep") for each in page.objects]


async def refusal(stores: Stores, source: Source) -> tuple[str, bool]:
    with pytest.raises(StorageError) as caught:
        await listed(stores, source)
    if caught.value.code == "NotAllowed":
        # what to do is said
        assert "NIGHTJAR_STORAGE_NETWORKS" in str(caught.value) or "give that one itself" in str(caught.value)
    return caught.value.code, caught.value.passing


@pytest.mark.parametrize("keys", [KEYS, ODD])
async def test_what_may_be_reached_is_listed_and_read_as_ever(stores: Stores, keys: list[str]) -> None:
    async with FakeS3([(key, 1) for key in keys]) as fake:
        source = anybodys(fake.source())

        assert await listed(stores, source) == sorted(keys)
        read = [chunk async for chunk in stores.chunks(source, keys[0])]

    assert b"".join(read) == picture()
    assert stores.egress.clients


async def test_a_real_store_answers_through_it_with_its_own_errors(stores: Stores, s3: Source) -> None:
    source = await filled(s3, "dep/a.jpg")

    found = await listed(stores, anybodys(source))
    wrong = await refusal(stores, anybodys(source, secret_key="a-guess"))

    assert found == [f"{source.prefix}/dep/a.jpg"]
    assert wrong == ("InvalidCredentials", False)


@pytest.mark.parametrize("keys", [KEYS, ODD])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1"])
async def test_a_store_that_may_not_be_reached_is_never_connected_to(keys: list[str], host: str) -> None:
    stores = Stores()
    async with FakeS3([(key, 1) for key in keys]) as fake:
        source = anybodys(fake.source(), endpoint_url=f"http://{host}:{fake.port}")

        assert await refusal(stores, source) == ("NotAllowed", False)
        with pytest.raises(StorageError, match="not public"):
            [chunk async for chunk in stores.chunks(source, keys[0])]
        assert fake.listings == 0
        assert not fake.connections
    await stores.close()


async def test_an_open_port_cannot_be_told_from_a_closed_one() -> None:
    stores = Stores()
    said = []
    async with answering(lambda: "a secret\r\n\r\n") as (served, port):
        for scheme, each in (("http", port), ("http", free_port()), ("https", port), ("https", free_port())):
            source = Source(
                "moths", access_key="a", secret_key="b", endpoint_url=f"{scheme}://127.0.0.1:{each}"
            )
            with pytest.raises(StorageError) as caught:
                await listed(stores, source)
            said.append((caught.value.code, str(caught.value), caught.value.passing))
    await stores.close()

    assert len(set(said)) == 1
    assert said[0][0] == "NotAllowed"
    assert served.met == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_to_where_it_may_not_go_is_not_followed(
    stores: Stores, status: int, scheme: str
) -> None:
    async with (
        answering(lambda: "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret", OTHER) as (hidden, port),
        answering(redirect(port, status=status, scheme=scheme)) as (shown, begin),
    ):
        source = Source("moths", access_key="a", secret_key="b", endpoint_url=f"http://127.0.0.1:{begin}")

        assert await refusal(stores, source) == ("NotAllowed", False)

    assert shown.met >= 1
    assert hidden.met == 0


async def test_over_plain_http_a_redirect_to_another_host_is_not_followed_at_all(stores: Stores) -> None:
    async with (
        FakeS3([(key, 1) for key in KEYS]) as fake,
        answering(redirect(fake.port, "localhost")) as (_, begin),
    ):
        source = Source("moths", access_key="a", secret_key="b", endpoint_url=f"http://127.0.0.1:{begin}")

        assert await refusal(stores, source) == ("NotAllowed", False)
        assert fake.listings == 0


async def test_a_redirect_to_the_same_host_is_followed(stores: Stores) -> None:
    empty = "<ListBucketResult><Name>moths</Name><IsTruncated>false</IsTruncated></ListBucketResult>"
    answers: list[Callable[[], str]] = []
    async with answering(lambda: answers.pop()()) as (served, port):
        answers += [
            lambda: f"HTTP/1.1 200 OK\r\ncontent-length: {len(empty)}\r\nconnection: close\r\n\r\n{empty}",
            redirect(port, "127.0.0.1"),
        ]
        source = Source("moths", access_key="a", secret_key="b", endpoint_url=f"http://127.0.0.1:{port}")

        assert await listed(stores, source) == []
    assert served.met == 2


async def test_a_redirect_of_odd_keys_ends_too(stores: Stores) -> None:
    async with (
        answering(lambda: "secret", OTHER) as (hidden, port),
        answering(redirect(port)) as (_, begin),
    ):
        source = Source(
            "moths", "a//b", access_key="a", secret_key="b", endpoint_url=f"http://127.0.0.1:{begin}"
        )

        assert await refusal(stores, source) == ("InvalidResponse", False)
    assert hidden.met == 0


class Names:
    """A name server that says something else each time."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    def __call__(self, host: str, port: int) -> Sequence[tuple[Any, ...]]:
        address = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in address.split()
        ]


async def test_a_name_that_leads_elsewhere_the_next_time_is_refused_then() -> None:
    networks = Networks([ip_network("127.0.0.1")])
    stores = Stores(egress=Egress(networks, Names("127.0.0.1", OTHER)))
    async with FakeS3([(key, 1) for key in KEYS]) as fake:
        source = anybodys(fake.source(), endpoint_url=f"http://moths.example:{fake.port}")
        first = await listed(stores, source)
        for connection in list(fake.connections):
            connection.abort()

        second = await refusal(stores, source)
    await stores.close()

    assert first == KEYS
    assert second == ("NotAllowed", False)


@pytest.mark.parametrize("answer", ["127.0.0.1 10.0.0.1", "10.0.0.1 127.0.0.1", "127.0.0.1 ::1"])
async def test_a_name_with_one_address_that_is_not_allowed_is_refused(answer: str) -> None:
    stores = Stores(egress=Egress(Networks([ip_network("127.0.0.1")]), Names(answer)))
    async with FakeS3(1) as fake:
        source = anybodys(fake.source(), endpoint_url=f"http://moths.example:{fake.port}")

        assert await refusal(stores, source) == ("NotAllowed", False)
        assert fake.listings == 0
    await stores.close()


async def test_a_store_that_is_away_may_come_back(stores: Stores) -> None:
    for endpoint in (f"http://127.0.0.1:{free_port()}", f"https://127.0.0.1:{free_port()}"):
        source = Source("moths", access_key="a", secret_key="b", endpoint_url=endpoint)

        assert await refusal(stores, source) == ("EndpointConnectionError", True)


async def test_an_old_refusal_is_not_taken_for_what_fails_now(stores: Stores) -> None:
    names = Names(OTHER, "127.0.0.1")
    stores = Stores(egress=Egress(stores.egress.networks, names))
    source = Source(
        "moths", access_key="a", secret_key="b", endpoint_url=f"http://moths.example:{free_port()}"
    )

    first, second = await refusal(stores, source), await refusal(stores, source)
    await stores.close()

    assert first == ("NotAllowed", False)
    assert second == ("EndpointConnectionError", True)


@pytest.mark.parametrize("keys", [KEYS, ODD])
async def test_the_environment_leads_no_way_around_it(
    stores: Stores, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "*")
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{OTHER}:1")
    async with FakeS3([(key, 1) for key in keys]) as fake:
        assert await listed(stores, anybodys(fake.source())) == sorted(keys)
        refused = Stores()
        assert await refusal(refused, anybodys(fake.source())) == ("NotAllowed", False)
        await refused.close()


async def test_a_source_that_is_trusted_goes_by_itself() -> None:
    stores = Stores()
    async with FakeS3([(key, 1) for key in KEYS]) as fake:
        assert await listed(stores, fake.source()) == KEYS
    assert not stores.egress.clients
    await stores.close()


async def said_to(stores: Stores, *lines: str, credentials: str | None = None) -> str:
    """What the proxy answers to a request that is made by hand."""
    way = await stores.egress.way(Source("moths"))
    login, _, address = (way.proxy_url or "").removeprefix("http://").rpartition("@")
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    given = base64.b64encode((credentials or login).encode()).decode()
    writer.write("\r\n".join((*lines, f"Proxy-Authorization: Basic {given}", "", "")).encode("latin-1"))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.partition(b"\r\n")[0].decode()


async def test_who_does_not_know_the_secret_is_not_served(stores: Stores) -> None:
    async with FakeS3(1) as fake:
        line = f"GET http://127.0.0.1:{fake.port}/moths?list-type=2 HTTP/1.1"
        answers = [await said_to(stores, line, credentials=each) for each in ("a:b", ":", "é:é")]
        assert fake.listings == 0

    assert answers == ["HTTP/1.1 407 Proxy Authentication Required"] * 3


@pytest.mark.parametrize(
    "lines",
    [
        ("POST http://127.0.0.1:1/ HTTP/1.1",),
        ("GET / HTTP/1.1",),
        ("GET ftp://127.0.0.1/ HTTP/1.1",),
        ("GET http://a@127.0.0.1:1/ HTTP/1.1",),
        ("GET http://127.0.0.1:1/ HTTP/1.1", "Content-Length: 5"),
        ("GET http://127.0.0.1:1/ HTTP/1.1", "Transfer-Encoding: chunked"),
        ("CONNECT 127.0.0.1 HTTP/1.1",),
        ("nonsense",),
    ],
)
async def test_what_is_no_reading_is_not_passed_on(stores: Stores, lines: tuple[str, ...]) -> None:
    assert await said_to(stores, *lines) == "HTTP/1.1 400 Bad Request"


@pytest.mark.parametrize(
    "line", ["CONNECT 127.0.0.1:99999 HTTP/1.1", f"CONNECT {'a' * 300}.org:443 HTTP/1.1"]
)
async def test_what_can_be_no_address_is_a_store_that_is_away(stores: Stores, line: str) -> None:
    assert await said_to(stores, line) == ""


async def test_a_head_without_an_end_is_not_kept(stores: Stores) -> None:
    assert (await said_to(stores, "GET http://127.0.0.1:1/ HTTP/1.1", "x: " + "y" * 70_000)).startswith(
        "HTTP/1.1 431"
    )


async def test_one_connection_may_ask_two_stores_one_after_the_other(stores: Stores) -> None:
    """As the library for odd keys does, which keeps one connection for all stores."""
    way = await stores.egress.way(Source("moths"))
    login, _, address = (way.proxy_url or "").removeprefix("http://").rpartition("@")
    given = base64.b64encode(login.encode()).decode()
    async with FakeS3([("a.jpg", 1)]) as first, FakeS3([("b.jpg", 1)]) as second:
        reader, writer = await asyncio.open_connection(*address.split(":"))
        found = []
        for fake in (first, second, first):
            writer.write(
                f"GET http://127.0.0.1:{fake.port}/moths?list-type=2 HTTP/1.1\r\n"
                f"Proxy-Authorization: Basic {given}\r\nhost: x\r\n\r\n".encode()
            )
            found.append((await reader.readuntil(b"</ListBucketResult>")).decode())
        writer.close()
        await writer.wait_closed()

    assert [("a.jpg" in each, "b.jpg" in each) for each in found] == [
        (True, False),
        (False, True),
        (True, False),
    ]


async def test_the_secret_does_not_leave_with_a_request(stores: Stores) -> None:
    answer = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    async with answering(lambda: answer) as (served, port):
        source = Source("moths", access_key="a", secret_key="b", endpoint_url=f"http://127.0.0.1:{port}")
        with pytest.raises(StorageError):
            await listed(stores, source)
        with pytest.raises(StorageError):
            [chunk async for chunk in stores.chunks(source, "a//b.jpg")]

    assert len(served.asked) == 2
    assert all(
        "authorization: AWS4" in each.replace("Authorization", "authorization") for each in served.asked
    )
    assert not any("proxy" in each.lower() for each in served.asked)
    assert all("GET /moths" in each for each in served.asked)
