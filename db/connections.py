"""Connections to PostgreSQL.

Queries run on psycopg itself: through SQLAlchemy's asyncio layer each statement costs 0.6 ms of CPU time instead
of 0.1, and a short job is little else. SQLAlchemy has the tables, Alembic the migrations.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool

Row = dict[str, Any]
Connection = AsyncConnection[Row]


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
    ) -> None:
        """At most `size` connections; who waits longer than `patience` seconds for one gets PoolTimeout.

        With `check` a connection is tried before it is handed out: a restarted server then costs a round trip,
        not a failed request. `options` are PostgreSQL's for the session, such as time limits.
        """
        set_json_dumps(orjson.dumps)
        set_json_loads(orjson.loads)
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            driver_address(url),
            min_size=2,
            max_size=size,
            timeout=patience,
            open=False,
            kwargs={
                "row_factory": dict_row,
                "application_name": name,
                "connect_timeout": 5,
                "options": options,
                # each statement is planned once a connection: all of ours come again and again
                "prepare_threshold": 0,
            },
            check=AsyncConnectionPool.check_connection if check else None,
            name=name,
        )

    async def __aenter__(self) -> "Database":
        await self._pool.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction: committed at the end of the block, undone if it raises."""
        async with self._pool.connection() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for single statements, each of which is its own transaction."""
        async with self._pool.connection() as connection:
            await connection.set_autocommit(True)
            try:
                yield connection
            finally:
                if not connection.closed:
                    await connection.set_autocommit(False)


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
