"""Every query on capture sets (`source_image_collections`). None commits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

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


_PROJECT = "SELECT EXISTS (SELECT 1 FROM projects WHERE id = %(project_id)s)"


async def project_exists(db: Connection, project_id: int) -> bool:
    """Whether there is a project with that id."""
    there: bool = await value(db, _PROJECT, {"project_id": project_id})
    return there


_INSERT = """
INSERT INTO source_image_collections (name, description, project_id, method, kwargs)
VALUES (%(name)s, %(description)s, %(project)s, %(method)s, %(kwargs)s) RETURNING id
"""


async def insert(db: Connection, values: Mapping[str, Any]) -> int:
    """Add a set; gives its id."""
    defaults = {"description": "", "method": "full", "kwargs": {}}
    columns = {**defaults, **values}
    columns["kwargs"] = Jsonb(columns["kwargs"])
    set_id: int = await value(db, _INSERT, columns)
    return set_id


_UPDATE = """
UPDATE source_image_collections SET
    name = coalesce(%(name)s, name), description = coalesce(%(description)s, description),
    method = coalesce(%(method)s, method), kwargs = coalesce(%(kwargs)s, kwargs), updated_at = now()
WHERE id = %(id)s
"""


async def update(db: Connection, set_id: int, values: Mapping[str, Any]) -> None:
    """Change what is given of a set."""
    columns: dict[str, Any] = dict.fromkeys(("name", "description", "method", "kwargs"))
    columns |= {name: values[name] for name in columns if name in values}
    if columns["kwargs"] is not None:
        columns["kwargs"] = Jsonb(columns["kwargs"])
    await db.execute(_UPDATE, {**columns, "id": set_id})


async def delete(db: Connection, set_id: int) -> None:
    """Remove a set; jobs that were about it stay."""
    await db.execute("DELETE FROM source_image_collections WHERE id = %(id)s", {"id": set_id})
