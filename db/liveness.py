"""Connections that are given up once their server has fallen silent.

A server, or the network before it, can hang without ending anything: no answer comes, and no error. Whoever waits for
an answer for some time asks whether the server still answers anybody, and ends the connection if it does not.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

from psycopg import AsyncConnection
from psycopg.abc import PQGen

logger = logging.getLogger("nightjar.database")

Out = TypeVar("Out")

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""Asks whether the server speaks TLS: answered with one byte, before any login, by every PostgreSQL and proxy."""
SYSTEM_LIMITS = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""What this machine bears of a server that vanished while others are still there."""
SERVER_OPTIONS = (
    "-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
    " -c client_connection_check_interval=5s -c idle_in_transaction_session_timeout=60s"
)
"""What the server bears of us: locks of a process that vanished are free again in half a minute, not in hours; those
of one that stands still in a minute, since no transaction of ours waits for anything but PostgreSQL."""


@dataclass(frozen=True)
class Watch:
    """How long a statement waits for a server that may have fallen silent."""

    silence: float
    """Seconds without an answer before the server is asked whether it still answers anybody."""
    reply: float
    """Seconds that it is given to say so."""
    longest: float | None = None
    """Seconds after which a statement is given up even so; null where it may take as long as it takes."""


class WatchedConnection(AsyncConnection[dict[str, Any]]):
    """Ends itself while a statement waits for a silent server: the statement then fails as if the server had died."""

    watch: Watch | None = None
    _examination: asyncio.Task[None] | None = None

    async def wait(
        self,
        gen: PQGen[Out],
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109 (psycopg's own name)
    ) -> Out:
        """What each statement waits by. A timer costs it a microsecond."""
        watch = self.watch
        if watch is None:
            return await super().wait(gen, interval, timeout)
        suspicion = asyncio.get_running_loop().call_later(watch.silence, self._examine, watch)
        try:
            return await super().wait(gen, interval, timeout)
        finally:
            suspicion.cancel()
            if self._examination is not None:
                self._examination.cancel()
                self._examination = None

    def _examine(self, watch: Watch) -> None:
        self._examination = asyncio.create_task(self._give_up_if_silent(watch))

    async def _give_up_if_silent(self, watch: Watch) -> None:
        waited = watch.silence
        while await self._server_answers(watch.reply):
            if watch.longest is not None and waited >= watch.longest:
                break
            await asyncio.sleep(watch.silence)
            waited += watch.silence
        logger.warning("PostgreSQL has not answered for %.0f s: a connection is given up", waited)
        self._cut()

    async def _server_answers(self, within: float) -> bool:
        """Whether the server at the other end says anything at all to somebody new."""
        host, port = self.info.hostaddr or self.info.host, self.info.port
        try:
            async with asyncio.timeout(within):
                reader, writer = await _opened(host, port)
                try:
                    writer.write(SSL_REQUEST)
                    return bool(await reader.read(1))
                finally:
                    writer.transport.abort()
        except (OSError, TimeoutError):
            return False

    def _cut(self) -> None:
        """End the connection under libpq, which reads its end at once: nothing is sent, nothing waited for."""
        if self.closed:
            return
        with socket.socket(fileno=os.dup(self.fileno())) as same:
            try:
                same.shutdown(socket.SHUT_RDWR)
            except OSError as error:
                logger.info("the connection had ended already: %s", error)


def _opened(host: str, port: int) -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    if host.startswith("/"):
        return asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return asyncio.open_connection(host, port)
