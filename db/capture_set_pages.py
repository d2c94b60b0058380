"""Reading capture sets for people: one query a page, one a detail."""

from datetime import datetime

from db.connections import Connection, Row, every, one, value
from db.job_pages import VISIBLE_PROJECTS, Viewer

_COLUMNS = """
    c.id, c.name, c.description, c.project_id, c.method, c.kwargs,
    c.created_at AT TIME ZONE %(zone)s AS created_at, c.updated_at AT TIME ZONE %(zone)s AS updated_at,
    counts.images, counts.with_detections, counts.processed, j.jobs
"""
_RELATED = """
    CROSS JOIN LATERAL (
        SELECT count(*) AS images, count(*) FILTER (WHERE real) AS with_detections,
               count(*) FILTER (WHERE processed) AS processed
        FROM source_image_collection_images m
        LEFT JOIN LATERAL (
            SELECT true AS processed, bool_or(d.bbox IS NOT NULL) AS real
            FROM detections d WHERE d.source_image_id = m.source_image_id HAVING count(*) > 0
        ) found ON true
        WHERE m.collection_id = c.id
    ) counts
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object(
            'id', n.id, 'status', n.status, 'job_type_key', n.job_type_key,
            'created_at', n.created_at AT TIME ZONE %(zone)s, 'updated_at', n.updated_at AT TIME ZONE %(zone)s
        ) ORDER BY n.id DESC) AS jobs
        FROM (SELECT * FROM jobs WHERE source_image_collection_id = c.id ORDER BY id DESC LIMIT %(most_jobs)s) n
    ) j ON true
"""
MOST_JOBS = 10
"""Clients look at the newest only; a set that is filled every night has thousands."""
_SEEN = f"""
c.project_id IN ({VISIBLE_PROJECTS})
    AND (CAST(%(project_id)s AS bigint) IS NULL OR c.project_id = %(project_id)s)
"""
_DETAIL = f"SELECT {_COLUMNS} FROM source_image_collections c {_RELATED} WHERE c.id = %(id)s AND {_SEEN}"
_COUNT = f"SELECT count(*) FROM source_image_collections c WHERE {_SEEN}"
_PAGE = f"""
SELECT {_COLUMNS} FROM (
    SELECT * FROM source_image_collections c WHERE {_SEEN} ORDER BY c.id LIMIT %(limit)s OFFSET %(offset)s
) c {_RELATED} ORDER BY c.id
"""


async def detail(db: Connection, viewer: Viewer, set_id: int) -> Row | None:
    """One capture set; None if the viewer cannot see it."""
    values = {"id": set_id, "project_id": None, "most_jobs": MOST_JOBS, **vars(viewer)}
    row = await one(db, _DETAIL, values)
    return None if row is None else _with_times(row)


def _with_times(row: Row) -> Row:
    """The same with the times of its jobs as times: in JSON they come as text, without trailing zeros."""
    for job in row["jobs"] or []:
        for name in ("created_at", "updated_at"):
            job[name] = datetime.fromisoformat(job[name])
    return row


async def count(db: Connection, viewer: Viewer, project_id: int | None) -> int:
    """How many sets there are to be seen, of one project or of all."""
    total: int = await value(db, _COUNT, {"project_id": project_id, **vars(viewer)})
    return total


async def page(
    db: Connection, viewer: Viewer, project_id: int | None, *, limit: int, offset: int
) -> list[Row]:
    """One page of sets, oldest first."""
    values = {"limit": limit, "offset": offset, "project_id": project_id, "most_jobs": MOST_JOBS}
    rows = await every(db, _PAGE, {**values, **vars(viewer)})
    return [_with_times(row) for row in rows]
