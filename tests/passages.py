"""A TCP port that leads to a server: opened, cut and frozen at will, as networks are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from embedded.ports import LOOPBACK, free_port


class Passage:
    """A port on the loopback interface that leads to another one, while it is open."""

    def __init__(self, to: str, port: int = 0) -> None:
        """`to` is host:port of the far end; without `port` a free one is chosen."""
        self.host, _, far_port = to.rpartition(":")
        self.far_port = int(far_port)
        self.port = port or free_port()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._meetings: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    async def open(self) -> None:
        """Let connections through."""
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._meet, LOOPBACK, self.port)

    async def cut(self) -> None:
        """End every connection, and refuse new ones until it is opened again."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.interrupt()

    async def interrupt(self) -> None:
        """End every connection; new ones are let through."""
        for end in list(self._ends):
            end.transport.abort()
        meetings = list(self._meetings)
        for meeting in meetings:
            meeting.cancel()
        await asyncio.gather(*meetings, return_exceptions=True)

    def freeze(self) -> None:
        """Let nothing through, and end nothing: the far end seems to hang."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Let everything through that has waited."""
        self._flowing.set()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._meetings.add(task)
        self._ends.add(writer)
        far_writer: asyncio.StreamWriter | None = None
        try:
            far_reader, far_writer = await asyncio.open_connection(self.host, self.far_port)
            self._ends.add(far_writer)
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # the far end is away, or the passage was cut: so is this connection
        finally:
            self._meetings.discard(task)
            for end in (writer, far_writer):
                if end is not None:
                    self._ends.discard(end)
                    end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        with suppress(OSError, RuntimeError):
            writer.write_eof()


@asynccontextmanager
async def passage(to: str, port: int = 0) -> AsyncIterator[Passage]:
    """An open passage, which ends with the block."""
    made = Passage(to, port)
    await made.open()
    try:
        yield made
    finally:
        await made.cut()
