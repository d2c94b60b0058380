"""Connections to PostgreSQL."""

from typing import Any

import orjson
from psycopg.types.json import set_json_dumps, set_json_loads
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

Connection = AsyncConnection


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def connect(
    url: str, *, size: int, connect_timeout: int = 5, check_first: bool = False, name: str = "nightjar"
) -> AsyncEngine:
    """A pool of at most `size` connections to the database at `url` (postgresql+psycopg://…).

    `check_first` tries a connection before it is handed out, so that a restarted server costs a round trip
    and not a failed request. Statement times are left to the server's own settings.
    """
    set_json_dumps(orjson.dumps)
    set_json_loads(orjson.loads)
    return create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=check_first,
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        connect_args={"application_name": name, "connect_timeout": connect_timeout},
    )
