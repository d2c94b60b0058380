"""The client of a chaos run: asks until it is answered, elsewhere too, under one key, and counts what was slow."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from embedded.ports import LOOPBACK
from tests.chaos import client as chaos_client
from tests.chaos.client import Refused, client_of

Answer = Callable[[str], Awaitable[tuple[int, str]]]
"""Gives status and body to the text of a request."""


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """A server of its own; gives its address."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, body = await answer(asked)
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(meet, LOOPBACK, 0)
    async with server:
        yield f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"


async def test_it_is_sent_again_elsewhere_under_the_same_key_until_it_is_answered() -> None:
    keys: list[str] = []

    async def after_two(asked: str) -> tuple[int, str]:
        keys.extend(line for line in asked.splitlines() if line.lower().startswith("idempotency-key"))
        return (200, '{"id": 7}') if len(keys) > 2 else (503, "{}")

    async with answering(after_two) as address, client_of(["http://127.0.0.1:9", address], {}) as client:
        job = await client.post("/jobs/", "the key", {"name": "Moths"})

    assert job == {"id": 7}
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert client.figures.sent_again == 5
    assert client.figures.odd == []


async def test_slow_answers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chaos_client, "SLOW", 0.2)
    pauses = [0.0, 0.4]

    async def slowly(asked: str) -> tuple[int, str]:
        await asyncio.sleep(pauses.pop())
        return 200, "{}"

    async with answering(slowly) as address, client_of([address], {}) as client:
        await client.get("/jobs/")
        await client.get("/jobs/")

    assert (client.figures.answers, client.figures.slow) == (2, 1)


async def test_an_answer_that_no_fault_excuses_is_noted() -> None:
    statuses = [404, 200, 500]

    async def badly(asked: str) -> tuple[int, str]:
        return statuses.pop(), "{}"

    async with answering(badly) as address, client_of([address], {}) as client:
        await client.get("/jobs/1/")
        with pytest.raises(Refused, match="404"):
            await client.get("/jobs/2/")

    assert [odd.split(": ")[1][:3] for odd in client.figures.odd] == ["500", "404"]
