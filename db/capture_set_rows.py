"""Every query on capture sets (`source_image_collections`). None commits."""

from dataclasses import dataclass
from typing import Any

from db.connections import Connection, one, value
from jobs.errors import CaptureSetNotFound

_COLUMNS = "c.id, c.name, c.project_id, c.method, c.kwargs"
_GET = f"SELECT {_COLUMNS} FROM source_image_collections c WHERE c.id = %(id)s"
# First the lock of the membership table (see the first migration), then the row: whoever deletes a set takes
# them in the same order. Rows are locked last in a statement, after all that it joins.
_LOCK = f"""
WITH sharing AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared({0x6D656D62657273}))
SELECT {_COLUMNS} FROM source_image_collections c, sharing WHERE c.id = %(id)s FOR NO KEY UPDATE OF c
"""


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
    row = await one(db, _GET, {"id": collection_id})
    if row is None:
        raise CaptureSetNotFound(collection_id)
    return CaptureSet(**row)


async def lock(db: Connection, collection_id: int) -> CaptureSet:
    """The same, alone until the end of the transaction: for whoever changes which captures are in it."""
    row = await one(db, _LOCK, {"id": collection_id})
    if row is None:
        raise CaptureSetNotFound(collection_id)
    return CaptureSet(**row)


_ADD = """
WITH added AS (
    INSERT INTO source_image_collection_images (collection_id, source_image_id)
    VALUES (%(set_id)s, %(capture_id)s) ON CONFLICT DO NOTHING RETURNING 1
)
UPDATE source_image_collections SET images_count = images_count + (SELECT count(*) FROM added), updated_at = now()
WHERE id = %(set_id)s RETURNING images_count
"""
_REMOVE = """
WITH removed AS (
    DELETE FROM source_image_collection_images
    WHERE collection_id = %(set_id)s AND source_image_id = %(capture_id)s RETURNING 1
)
UPDATE source_image_collections SET images_count = images_count - (SELECT count(*) FROM removed), updated_at = now()
WHERE id = %(set_id)s RETURNING images_count
"""


async def add(db: Connection, set_id: int, capture_id: int) -> int:
    """Put a capture into a set, once; gives how many are in it then. The set must be locked."""
    total: int = await value(db, _ADD, {"set_id": set_id, "capture_id": capture_id})
    return total


async def remove(db: Connection, set_id: int, capture_id: int) -> int:
    """Take a capture out of a set; gives how many are in it then. The set must be locked."""
    total: int = await value(db, _REMOVE, {"set_id": set_id, "capture_id": capture_id})
    return total
