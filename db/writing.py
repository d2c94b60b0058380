"""Adding, changing and removing single rows by what a client sent. None commits."""

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg.errors import ForeignKeyViolation
from psycopg.types.json import Jsonb

from db.connections import Connection, one, value
from db.listing import VISIBLE_PROJECTS, Viewer


class RowGone(LookupError):
    """A row that was there a moment ago has been deleted."""

    def __init__(self, table: str, row_id: int) -> None:
        super().__init__(f"row {row_id} of {table} is no more")


def broken_reference(error: ForeignKeyViolation, table: str) -> str | None:
    """The column of `table` that names a row which is no more; null if it is a column of another table."""
    start = f"fk_{table}_"
    name = error.diag.constraint_name or ""
    return name.removeprefix(start) if error.diag.table_name == table and name.startswith(start) else None


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as the driver takes them: documents become jsonb."""
    return {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}


async def insert(db: Connection, table: str, values: Mapping[str, Any]) -> int:
    """Add a row; gives its id. The keys of `values` are ours, never a client's."""
    columns = _columns(values)
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join(f"%({name})s" for name in columns)
    row_id: int = await value(db, f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING id", columns)
    return row_id


async def update(db: Connection, table: str, row_id: int, values: Mapping[str, Any]) -> None:
    """Change what is given of a row; raises RowGone."""
    columns = _columns(values)
    if not columns:
        return
    changes = ", ".join(f'"{name}" = %({name})s' for name in columns)
    statement = f"UPDATE {table} SET {changes}, updated_at = now() WHERE id = %(row_id)s"
    done = await db.execute(statement, {**columns, "row_id": row_id})
    if not done.rowcount:
        raise RowGone(table, row_id)


async def delete(db: Connection, table: str, row_id: int) -> None:
    """Remove a row; raises RowGone."""
    done = await db.execute(f"DELETE FROM {table} WHERE id = %(row_id)s", {"row_id": row_id})
    if not done.rowcount:
        raise RowGone(table, row_id)


SCOPED = frozenset(
    {
        "deployments",
        "sites",
        "devices",
        "storage_sources",
        "events",
        "source_images",
        "source_image_collections",
    }
)
"""Tables whose rows belong to one project, and can be named within it only."""
# a session whose station was deleted is shown nowhere, so it cannot be named either
_SHOWN = {"events": " AND t.deployment_id IS NOT NULL"}


async def missing(
    db: Connection,
    references: Iterable[tuple[str, str, Any]],
    project_id: int | None,
    *,
    scoped: bool = True,
    viewer: Viewer | None = None,
) -> list[str]:
    """The fields, of (field, table, id), that name a row which is not there, or is of another project.

    Without `scoped` rows of any project will do. With a viewer, projects that they cannot see are not there.
    """
    wanted = [(field, table, row_id) for field, table, row_id in references if row_id is not None]
    if not wanted:
        return []
    columns = ", ".join(
        f'EXISTS (SELECT 1 FROM {table} t WHERE t.id = %({field})s{_narrowed(table, scoped, viewer)}) AS "{field}"'
        for field, table, _ in wanted
    )
    values = {field: row_id for field, _, row_id in wanted}
    seeing = {} if viewer is None else vars(viewer)
    row = await one(db, f"SELECT {columns}", {**values, **seeing, "own_project": project_id})
    assert row is not None
    return [field for field, _, _ in wanted if not row[field]]


def _narrowed(table: str, scoped: bool, viewer: Viewer | None) -> str:
    if scoped and table in SCOPED:
        return f"{_SHOWN.get(table, '')} AND t.project_id = %(own_project)s"
    if table == "projects" and viewer is not None:
        return f" AND t.id IN ({VISIBLE_PROJECTS})"
    return _SHOWN.get(table, "")
