"""Every query on sessions (`events`). None commits."""

from collections.abc import Iterable

from db import storage_rows
from db.connections import Connection
from db.listing import VISIBLE_PROJECTS, Listing, times

# without a station, since that was deleted, a session is shown nowhere: the platform's page reads the station of each
_SEEN = f"t.deployment_id IS NOT NULL AND t.project_id IN ({VISIBLE_PROJECTS})"
SESSIONS = Listing(
    table="events",
    columns=f"""t.id, t.project_id, t.deployment_id, d.name AS deployment_name, t.start, t."end", t.group_by,
        t.captures_count, found.detections, {times("created_at", "updated_at")}, examples.captures""",
    related=f"""
    JOIN deployments d ON d.id = t.deployment_id
    {storage_rows.joined("d.data_source_id")}
    CROSS JOIN LATERAL (
        SELECT count(*) AS detections FROM source_images i JOIN detections x ON x.source_image_id = i.id
        WHERE i.event_id = t.id AND x.bbox IS NOT NULL
    ) found
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(to_jsonb(i) ORDER BY i.timestamp, i.id) AS captures
        FROM (
            SELECT id, path, public_base_url, width, height, timestamp, project_id, stored.source FROM source_images
            WHERE event_id = t.id ORDER BY timestamp, id LIMIT 1
        ) i
    ) examples ON true
    """,
    order=("t.start", "t.id"),
    seen=_SEEN,
)

# begin and end stay as they are where there are no captures
_REFRESH = """
UPDATE events e
SET captures_count = counted.captures, start = coalesce(counted.first, e.start),
    "end" = coalesce(counted.last, e."end")
FROM unnest(CAST(%(ids)s AS bigint[])) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT count(*) AS captures, min(timestamp) AS first, max(timestamp) AS last
    FROM source_images WHERE event_id = wanted.id
) counted
WHERE e.id = wanted.id
"""


async def refresh(db: Connection, session_ids: Iterable[int | None]) -> None:
    """Count again what sessions have: for whoever adds, moves or removes captures."""
    ids = sorted({session_id for session_id in session_ids if session_id is not None})
    if ids:
        await db.execute(_REFRESH, {"ids": ids})
