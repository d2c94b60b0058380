"""The frame of every list and detail: what the viewer may see, filtered, ordered, and one page of it.

One statement counts, one reads a page, one reads a single row, however many rows there are: what belongs to a row
is joined to the rows of the page only. In the SQL of a listing the row itself is `t`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from db.connections import Connection, Row, every, one, value

Query = tuple[str, dict[str, Any]]
"""A statement and its values."""

# a viewer sees what belongs to active projects that are open to everybody, or to them
VISIBLE_PROJECTS = """
SELECT p.id FROM projects p
WHERE p.active AND (%(sees_all)s OR NOT p.draft OR p.owner_id = %(user_id)s
    OR EXISTS (SELECT 1 FROM project_members m WHERE m.project_id = p.id AND m.user_id = %(user_id)s))
"""


@dataclass(frozen=True)
class Viewer:
    """Who looks, and in which zone they read times."""

    user_id: int | None
    sees_all: bool
    zone: str


@dataclass(frozen=True)
class Condition:
    """What rows must fulfil: SQL about `t`, and its values."""

    sql: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """Which rows are wanted, and in which order."""

    project_id: int | None = None
    conditions: tuple[Condition, ...] = ()
    order: tuple[str, ...] = ()
    """SQL that sorts by; empty for the usual order."""

    def values(self) -> dict[str, Any]:
        values: dict[str, Any] = {"project_id": self.project_id}
        for condition in self.conditions:
            values |= condition.values
        return values


EVERYTHING = Wanted()


@dataclass(frozen=True)
class Listing:
    """How the rows of one table are read."""

    table: str
    columns: str
    related: str = ""
    """Joins that give what belongs to a row."""
    detail_columns: str = ""
    """What only a single row is read with."""
    detail_related: str = ""
    order: tuple[str, ...] = ("t.id",)
    seen: str | None = None
    """SQL: the viewer may see `t`. By default rows have a project, and are seen with it."""
    in_project: str = "t.project_id = %(project_id)s"
    values: Mapping[str, Any] = field(default_factory=dict)
    """What the columns need beside viewer and filters."""

    def _where(self, wanted: Wanted) -> str:
        seen = self.seen or f"t.project_id IN ({VISIBLE_PROJECTS})"
        # in parentheses: what is seen may be one thing or another
        conditions = [f"({seen})", *(condition.sql for condition in wanted.conditions)]
        if wanted.project_id is not None:
            conditions.append(self.in_project)
        return " AND ".join(conditions)

    def counting(self, viewer: Viewer, wanted: Wanted) -> Query:
        """The query of `count`."""
        values = {**self.values, **wanted.values(), **vars(viewer)}
        if self.seen is not None or wanted.conditions:
            return f"SELECT count(*) AS rows FROM {self.table} t WHERE {self._where(wanted)}", values
        # project by project from an index alone: half the time of joining each row with its project
        own = "" if wanted.project_id is None else "AND p.id = %(project_id)s"
        statement = f"""
            SELECT coalesce(sum(counted.rows), 0)::bigint AS rows FROM ({VISIBLE_PROJECTS} {own}) seen
            CROSS JOIN LATERAL (SELECT count(*) AS rows FROM {self.table} t WHERE t.project_id = seen.id) counted
        """
        return statement, values

    async def count(self, db: Connection, viewer: Viewer, wanted: Wanted = EVERYTHING) -> int:
        """How many rows there are."""
        total: int = await value(db, *self.counting(viewer, wanted))
        return total

    def paging(self, viewer: Viewer, wanted: Wanted, *, limit: int, offset: int) -> Query:
        """The query of `page`."""
        order = ", ".join(wanted.order or self.order)
        statement = f"""
            SELECT {self.columns} FROM (
                SELECT * FROM {self.table} t WHERE {self._where(wanted)}
                ORDER BY {order} LIMIT %(page_limit)s OFFSET %(page_offset)s
            ) t {self.related} ORDER BY {order}
        """
        page = {"page_limit": limit, "page_offset": offset}
        return statement, {**self.values, **wanted.values(), **page, **vars(viewer)}

    async def page(
        self, db: Connection, viewer: Viewer, wanted: Wanted = EVERYTHING, *, limit: int, offset: int = 0
    ) -> list[Row]:
        """One page of rows, in order."""
        return await every(db, *self.paging(viewer, wanted, limit=limit, offset=offset))

    def detailing(self, viewer: Viewer, row_id: int, wanted: Wanted, **more: Any) -> Query:
        """The query of `detail`."""
        statement = f"""
            SELECT {self.columns}{self.detail_columns} FROM {self.table} t {self.related} {self.detail_related}
            WHERE t.id = %(row_id)s AND {self._where(wanted)}
        """
        return statement, {**self.values, **wanted.values(), **more, "row_id": row_id, **vars(viewer)}

    async def detail(
        self, db: Connection, viewer: Viewer, row_id: int, wanted: Wanted = EVERYTHING, **more: Any
    ) -> Row | None:
        """One row; None if there is none that the viewer may see and that is wanted."""
        return await one(db, *self.detailing(viewer, row_id, wanted, **more))

    async def lock(self, db: Connection, row_id: int) -> None:
        """Nobody else changes the row until the end of the transaction."""
        await db.execute(
            f"SELECT 1 FROM {self.table} t WHERE t.id = %(row_id)s FOR NO KEY UPDATE", {"row_id": row_id}
        )


def times(*names: str) -> str:
    """Columns of `t` that are points in time, as wall clock of the viewer's zone."""
    return ", ".join(f"t.{name} AT TIME ZONE %(zone)s AS {name}" for name in names)


def jobs_of(column: str) -> str:
    """A join that gives, as `of_row.jobs`, the newest jobs about `t`, newest first."""
    return f"""
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object(
            'id', n.id, 'status', n.status, 'job_type_key', n.job_type_key, 'project_id', n.project_id,
            'created_at', n.created_at AT TIME ZONE %(zone)s, 'updated_at', n.updated_at AT TIME ZONE %(zone)s
        ) ORDER BY n.id DESC) AS jobs
        FROM (SELECT * FROM jobs WHERE {column} = t.id ORDER BY id DESC LIMIT {MOST_JOBS}) n
    ) of_row ON true
    """


MOST_JOBS = 10
"""Clients look at the newest only; a set that is filled every night has thousands."""
