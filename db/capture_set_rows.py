"""Every query on capture sets (`source_image_collections`). None commits."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from db.connections import Connection
from jobs.errors import CaptureSetNotFound

# the lock of the membership table: see the first migration
_SHARE_MEMBERSHIPS = text(f"SELECT pg_advisory_xact_lock_shared({0x6D656D62657273})")
_COLUMNS = "id, name, project_id, method, kwargs"
_GET = text(f"SELECT {_COLUMNS} FROM source_image_collections WHERE id = :id")
_LOCK = text(f"SELECT {_COLUMNS} FROM source_image_collections WHERE id = :id FOR NO KEY UPDATE")
_TOUCH = text("UPDATE source_image_collections SET updated_at = now() WHERE id = :id")


@dataclass(frozen=True)
class CaptureSet:
    """What a set is called, whose it is, and how it is sampled."""

    id: int
    name: str
    project_id: int
    method: str
    kwargs: dict[str, Any]

    def __str__(self) -> str:
        return f"#{self.id} {self.name}"


async def get(db: Connection, collection_id: int) -> CaptureSet:
    """One set; raises CaptureSetNotFound."""
    row = (await db.execute(_GET, {"id": collection_id})).mappings().first()
    if row is None:
        raise CaptureSetNotFound(collection_id)
    return CaptureSet(**row)


async def lock(db: Connection, collection_id: int) -> CaptureSet:
    """The same, alone until the end of the transaction: for whoever changes which captures are in it."""
    # first this lock, then the row: whoever deletes a set takes them in the same order
    await db.execute(_SHARE_MEMBERSHIPS)
    row = (await db.execute(_LOCK, {"id": collection_id})).mappings().first()
    if row is None:
        raise CaptureSetNotFound(collection_id)
    return CaptureSet(**row)


async def touch(db: Connection, collection_id: int) -> None:
    """Note that the set has changed."""
    await db.execute(_TOUCH, {"id": collection_id})
