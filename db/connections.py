"""Connections to PostgreSQL.

Queries run on psycopg itself: through SQLAlchemy's asyncio layer each statement costs 0.6 ms of CPU time instead
of 0.1, and a short job is little else. SQLAlchemy has the tables, Alembic the migrations.
"""

import asyncio
import select
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from psycopg.rows import dict_row
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool

from db.liveness import SERVER_OPTIONS, SYSTEM_LIMITS, Watch, WatchedConnection

Row = dict[str, Any]
Connection = WatchedConnection

WATCH = Watch(silence=4.0, reply=2.0)
RECONNECTING = 5.0
"""Seconds that the pool tries for a lost connection, at growing intervals; then whoever needs one has it try at once.

Without this bound, the pause before the next attempt is as long as the server was away."""


def driver_address(url: str) -> str:
    """The address that psycopg takes, from SQLAlchemy's (postgresql+psycopg://…)."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


class Database:
    """A pool of connections to one database."""

    def __init__(
        self,
        url: str,
        *,
        size: int,
        name: str,
        patience: float = 10.0,
        check: bool = False,
        options: str = "",
        watch: Watch = WATCH,
    ) -> None:
        """At most `size` connections; who waits longer than `patience` seconds for one gets PoolTimeout.

        With `check` a connection that the server has closed is not handed out: a restarted server then costs a
        new connection, not a failed request. `options` are PostgreSQL's for the session, such as time limits;
        `watch` says how long a server may be silent.
        """
        self._check = check
        self._patience = patience
        self._watch = watch
        set_json_dumps(orjson.dumps)
        set_json_loads(orjson.loads)
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            driver_address(url),
            min_size=2,
            max_size=size,
            timeout=patience,
            reconnect_timeout=RECONNECTING,
            open=False,
            connection_class=WatchedConnection,
            configure=self._set_watch,
            kwargs={
                "row_factory": dict_row,
                "application_name": name,
                "connect_timeout": 5,
                **SYSTEM_LIMITS,
                "options": f"{SERVER_OPTIONS} {options}",
                # each statement is planned once a connection: all of ours come again and again
                "prepare_threshold": 0,
            },
            name=name,
        )

    async def _set_watch(self, connection: Connection) -> None:
        connection.watch = self._watch

    async def __aenter__(self) -> "Database":
        await self._pool.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction: committed at the end of the block, undone if it raises."""
        connection = await self._take()
        try:
            # which commits or rolls back; a connection of a pool stays open then
            async with connection:
                yield connection
        finally:
            await self._pool.putconn(connection)

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[Connection]:
        """A connection for single statements, each of which is its own transaction."""
        connection = await self._take()
        try:
            await connection.set_autocommit(True)
            try:
                yield connection
            finally:
                if not connection.closed:
                    await connection.set_autocommit(False)
        finally:
            await self._pool.putconn(connection)

    async def _take(self) -> Connection:
        """A connection from the pool, whose own check waits for a second before it tries the next."""
        task = asyncio.current_task()
        assert task is not None
        cancellations = task.cancelling()
        deadline = time.monotonic() + self._patience
        while True:
            connection = await self._pool.getconn(deadline - time.monotonic())
            if task.cancelling() > cancellations:
                # before Python 3.12 the pool loses a cancellation in the moment in which it hands over a connection:
                # https://github.com/psycopg/psycopg/issues/1345
                await self._pool.putconn(connection)
                raise asyncio.CancelledError
            if not self._check or not _closed_by_server(connection):
                return connection
            await connection.close()
            await self._pool.putconn(connection)  # which has it replaced


def _closed_by_server(connection: Connection) -> bool:
    """A server says nothing on a connection at rest, except that it closes it."""
    if connection.closed:
        return True
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


async def one(db: Connection, statement: str, values: dict[str, Any]) -> Row | None:
    """The first row that a statement gives."""
    return await (await db.execute(statement, values)).fetchone()


async def every(db: Connection, statement: str, values: dict[str, Any]) -> list[Row]:
    """All rows that a statement gives."""
    return await (await db.execute(statement, values)).fetchall()


async def value(db: Connection, statement: str, values: dict[str, Any]) -> Any:
    """The only column of the only row that a statement gives."""
    row = await one(db, statement, values)
    assert row is not None
    return next(iter(row.values()))
