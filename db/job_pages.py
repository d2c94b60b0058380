"""Reading jobs for people: one query a page, one a detail, however many rows and stages there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from db.connections import Connection, Row, every, one, value

JobColumns = Row
"""A job with its related objects and stages, as columns; times are naive, in the zone asked for."""

Query = tuple[str, dict[str, Any]]
"""A statement and its values."""

# a viewer sees what belongs to active projects that are open to everybody, or to them
VISIBLE_PROJECTS = """
SELECT p.id FROM projects p
WHERE p.active AND (%(sees_all)s OR NOT p.draft OR p.owner_id = %(user_id)s
    OR EXISTS (SELECT 1 FROM project_members m WHERE m.project_id = p.id AND m.user_id = %(user_id)s))
"""

_COLUMNS = """
    j.id, j.name, j.delay, j."limit", j.shuffle, j.status, j.run, j.job_type_key, j.dispatch_mode, j.result,
    j.created_at AT TIME ZONE %(zone)s AS created_at,
    greatest(j.updated_at, s.updated_at) AT TIME ZONE %(zone)s AS updated_at,
    j.started_at AT TIME ZONE %(zone)s AS started_at,
    j.finished_at AT TIME ZONE %(zone)s AS finished_at,
    extract(epoch FROM j.finished_at - j.started_at)::text AS duration,
    j.project_id, p.name AS project_name,
    j.deployment_id, d.name AS deployment_name,
    j.source_image_collection_id, c.name AS collection_name, c.method AS collection_method,
    j.source_image_single_id, i.path AS image_path, i.public_base_url AS image_base_url,
    i.width AS image_width, i.height AS image_height, i.timestamp AS image_timestamp,
    i.event_id AS image_event_id,
    j.pipeline_id, l.name AS pipeline_name, l.slug AS pipeline_slug, l.description AS pipeline_description,
    l.version AS pipeline_version, l.version_name AS pipeline_version_name,
    l.created_at AT TIME ZONE %(zone)s AS pipeline_created_at,
    l.updated_at AT TIME ZONE %(zone)s AS pipeline_updated_at,
    s.stages
"""
_RELATED = """
    JOIN projects p ON p.id = j.project_id
    LEFT JOIN deployments d ON d.id = j.deployment_id
    LEFT JOIN source_image_collections c ON c.id = j.source_image_collection_id
    LEFT JOIN source_images i ON i.id = j.source_image_single_id
    LEFT JOIN pipelines l ON l.id = j.pipeline_id
    LEFT JOIN LATERAL (
        SELECT max(t.updated_at) AS updated_at, jsonb_agg(jsonb_build_object(
            'key', t.key, 'name', t.name, 'status', t.status, 'progress', t.progress, 'params', t.params
        ) ORDER BY t.position, t.key) AS stages
        FROM job_stages t WHERE t.job_id = j.id
    ) s ON true
"""
_LOGS = """
    LEFT JOIN LATERAL (
        SELECT json_agg(to_char(g.created_at AT TIME ZONE %(zone)s, '[YYYY-MM-DD HH24:MI:SS] ')
                   || g.level || ' ' || g.message ORDER BY g.id DESC)::text AS stdout,
               (json_agg(g.message ORDER BY g.id DESC) FILTER (WHERE g.level IN ('ERROR', 'CRITICAL')))::text
                   AS stderr
        FROM (SELECT * FROM job_logs WHERE job_id = j.id ORDER BY id DESC LIMIT %(logs_limit)s) g
    ) log ON true
"""


@dataclass(frozen=True)
class Viewer:
    """Who looks, and in which zone they read times."""

    user_id: int | None
    sees_all: bool
    zone: str


_DETAIL = f"""
SELECT {_COLUMNS}, log.stdout, log.stderr FROM jobs j {_RELATED} {_LOGS}
WHERE j.id = %(job_id)s AND j.project_id IN ({VISIBLE_PROJECTS})
    AND (CAST(%(project_id)s AS bigint) IS NULL OR j.project_id = %(project_id)s)
"""


async def detail(
    db: Connection, viewer: Viewer, job_id: int, *, logs_limit: int, project_id: int | None = None
) -> JobColumns | None:
    """One job with its newest log lines (`stdout` and `stderr`: JSON texts); None if the viewer cannot see it."""
    return await one(db, *detailing(viewer, job_id, logs_limit=logs_limit, project_id=project_id))


def detailing(viewer: Viewer, job_id: int, *, logs_limit: int, project_id: int | None = None) -> Query:
    """The query of `detail`."""
    values = {"job_id": job_id, "logs_limit": logs_limit, "project_id": project_id, **vars(viewer)}
    return _DETAIL, values


@dataclass(frozen=True)
class JobFilter:
    """Which jobs are wanted: by exact value of a column of `jobs`; null is no filter."""

    equals: Mapping[str, Any] = field(default_factory=dict)

    @property
    def only_by_project(self) -> bool:
        return self.equals.keys() <= {"project_id"}

    def where(self) -> str:
        return "".join(f" AND j.{column} = %({column})s" for column in self.equals)


async def count(db: Connection, viewer: Viewer, wanted: JobFilter) -> int:
    """How many jobs match."""
    total: int = await value(db, *counting(viewer, wanted))
    return total


def counting(viewer: Viewer, wanted: JobFilter) -> Query:
    """The query of `count`."""
    # project by project from an index alone: half the time of joining each job with its project
    where = "j.project_id = seen.id" if wanted.only_by_project else f"j.project_id IN ({VISIBLE_PROJECTS})"
    statement = f"SELECT count(*) AS jobs FROM jobs j WHERE {where}{wanted.where()}"
    if wanted.only_by_project:
        statement = f"""
            SELECT coalesce(sum(counted.jobs), 0)::bigint AS jobs
            FROM ({VISIBLE_PROJECTS}) seen CROSS JOIN LATERAL ({statement}) counted
        """
    return statement, {**wanted.equals, **vars(viewer)}


async def page(
    db: Connection, viewer: Viewer, wanted: JobFilter, *, limit: int, offset: int
) -> Sequence[JobColumns]:
    """One page of jobs, newest first."""
    return await every(db, *paging(viewer, wanted, limit=limit, offset=offset))


def paging(viewer: Viewer, wanted: JobFilter, *, limit: int, offset: int) -> Query:
    """The query of `page`."""
    statement = f"""
        SELECT {_COLUMNS} FROM (
            SELECT * FROM jobs j WHERE j.project_id IN ({VISIBLE_PROJECTS}){wanted.where()}
            ORDER BY j.created_at DESC, j.id DESC LIMIT %(page_limit)s OFFSET %(page_offset)s
        ) j {_RELATED}
        ORDER BY j.created_at DESC, j.id DESC
    """
    values = {**wanted.equals, "page_limit": limit, "page_offset": offset, **vars(viewer)}
    return statement, values
