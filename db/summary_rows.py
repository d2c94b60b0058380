"""CountCache for the menu of the page, from what is kept on stations: cheap however many captures there are.

What has no station any more, since that was deleted, is not counted.
"""

from db.connections import Connection, Row, one, value
from db.listing import VISIBLE_PROJECTS, Viewer

_SUMMARY = f"""
WITH seen AS MATERIALIZED (
    {VISIBLE_PROJECTS} AND (CAST(%(project_id)s AS bigint) IS NULL OR p.id = %(project_id)s)
)
SELECT
    (SELECT count(*) FROM ({VISIBLE_PROJECTS}) p) AS projects,
    (SELECT count(*) FROM deployments d JOIN seen ON seen.id = d.project_id) AS deployments,
    (SELECT count(*) FROM deployments d JOIN seen ON seen.id = d.project_id JOIN events e ON e.deployment_id = d.id)
        AS events,
    (SELECT coalesce(sum(d.captures_count), 0)::bigint FROM deployments d JOIN seen ON seen.id = d.project_id)
        AS captures
"""


async def summary(db: Connection, viewer: Viewer, project_id: int | None) -> Row:
    """How many projects, stations, sessions and captures the viewer may see."""
    row = await one(db, _SUMMARY, {"project_id": project_id, **vars(viewer)})
    assert row is not None
    return row


_DETECTIONS = f"""
SELECT count(*) AS detections
FROM detections x JOIN source_images i ON i.id = x.source_image_id JOIN deployments d ON d.id = i.deployment_id
WHERE x.bbox IS NOT NULL AND d.project_id IN ({VISIBLE_PROJECTS})
    AND (CAST(%(project_id)s AS bigint) IS NULL OR d.project_id = %(project_id)s)
"""


async def detections(db: Connection, viewer: Viewer, project_id: int | None) -> int:
    """How many detections the viewer may see: the marks that nothing was found are none."""
    total: int = await value(db, _DETECTIONS, {"project_id": project_id, **vars(viewer)})
    return total
