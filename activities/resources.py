"""What activities work with, opened once by the worker."""

from dataclasses import dataclass

from db.connections import Database


@dataclass(frozen=True)
class Resources:
    """Connections and clients, shared by all activities of a worker."""

    database: Database
