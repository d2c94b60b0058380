"""What activities work with, opened once by the worker."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass(frozen=True)
class Resources:
    """Connections and clients, shared by all activities of a worker."""

    engine: AsyncEngine
