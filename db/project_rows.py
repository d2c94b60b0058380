"""Every query that changes projects and their members, and how they are read. None commits."""

from typing import Any

from db import writing
from db.connections import Connection, value
from db.listing import VISIBLE_PROJECTS, Listing, times

PROJECTS = Listing(
    table="projects",
    columns=f"""t.id, t.id AS project_id, t.name, t.description, t.image, t.draft,
        {times("created_at", "updated_at")},
        (SELECT count(*) FROM deployments d WHERE d.project_id = t.id) AS deployments_count""",
    detail_columns=""",
        stations.deployments, t.owner_id, o.name AS owner_name, t.feature_flags, t.session_time_gap_seconds,
        t.default_filters_score_threshold, t.default_processing_pipeline_id, l.name AS pipeline_name,
        %(sees_all)s OR coalesce(t.owner_id = %(user_id)s, false) OR EXISTS (
            SELECT 1 FROM project_members m WHERE m.project_id = t.id AND m.user_id = %(user_id)s
        ) AS is_member""",
    detail_related="""
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object(
            'id', d.id, 'name', d.name, 'image', d.image, 'latitude', d.latitude, 'longitude', d.longitude,
            'events_count', d.events_count
        ) ORDER BY d.name, d.id) AS deployments
        FROM deployments d WHERE d.project_id = t.id
    ) stations ON true
    LEFT JOIN users o ON o.id = t.owner_id
    LEFT JOIN pipelines l ON l.id = t.default_processing_pipeline_id
    """,
    order=("t.priority DESC", "t.created_at", "t.id"),
    seen=f"t.id IN ({VISIBLE_PROJECTS})",
    in_project="t.id = %(project_id)s",
)
MEMBERS = Listing(
    table="project_members",
    columns=f"""t.id, t.project_id, t.role, {times("created_at", "updated_at")},
        t.user_id, u.name AS user_name, u.email AS user_email""",
    related="JOIN users u ON u.id = t.user_id",
)
_EXISTS = "SELECT EXISTS (SELECT 1 FROM projects WHERE id = %(project_id)s)"


async def exists(db: Connection, project_id: int) -> bool:
    """Whether there is a project with that id."""
    there: bool = await value(db, _EXISTS, {"project_id": project_id})
    return there


_ADD_DEFAULTS = """
WITH device AS (
    INSERT INTO devices (name, project_id) VALUES ('Default Device', %(project_id)s) RETURNING id
), site AS (
    INSERT INTO sites (name, project_id) VALUES ('Default Site', %(project_id)s) RETURNING id
), station AS (
    INSERT INTO deployments (name, project_id, device_id, research_site_id, latitude, longitude)
    SELECT 'Default Station', %(project_id)s, device.id, site.id, 0, 0 FROM device, site
), all_images AS (
    INSERT INTO source_image_collections (name, project_id, method)
    VALUES ('All Images', %(project_id)s, 'full')
)
INSERT INTO project_members (project_id, user_id, role)
SELECT %(project_id)s, id, 'ProjectManager' FROM users WHERE id = %(owner_id)s
"""


async def insert(db: Connection, values: dict[str, Any], owner_id: int) -> int:
    """Add a project with what every project starts with (domain 1.1); gives its id.

    A device, a site, a station, a capture set of everything, and its owner as project manager.
    """
    project_id = await writing.insert(db, "projects", {**values, "owner_id": owner_id})
    await db.execute(_ADD_DEFAULTS, {"project_id": project_id, "owner_id": owner_id})
    return project_id


# a change of flags keeps those that are not named
_MERGE_FLAGS = """
UPDATE projects SET feature_flags = feature_flags || CAST(%(flags)s AS jsonb) WHERE id = %(project_id)s
"""


async def set_flags(db: Connection, project_id: int, flags: str) -> None:
    """Change feature flags; `flags` is JSON."""
    await db.execute(_MERGE_FLAGS, {"project_id": project_id, "flags": flags})


_SET_ROLE = """
INSERT INTO project_members (project_id, user_id, role) VALUES (%(project_id)s, %(user_id)s, %(role)s)
ON CONFLICT (project_id, user_id) DO UPDATE SET role = excluded.role, updated_at = now()
"""


async def set_role(db: Connection, project_id: int, user_id: int, role: str) -> None:
    """Take a user into a project, or change what they are there."""
    await db.execute(_SET_ROLE, {"project_id": project_id, "user_id": user_id, "role": role})


_FLAG = """
SELECT coalesce((SELECT (feature_flags ->> %(flag)s)::boolean FROM projects WHERE id = %(project_id)s), %(usual)s)
"""


async def flag(db: Connection, project_id: int, flag: str, usual: bool) -> bool:
    """Whether a feature is on in a project; `usual` where nobody said, or the project is no more."""
    return bool(await value(db, _FLAG, {"project_id": project_id, "flag": flag, "usual": usual}))
