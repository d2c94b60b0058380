"""Every query on sessions (`events`). None commits."""

from collections.abc import Iterable

from db import storage_rows
from db.connections import Connection
from db.listing import VISIBLE_PROJECTS, Listing, times

# without a station, since that was deleted, a session is shown nowhere: the platform's page reads the station of each
_SEEN = f"t.deployment_id IS NOT NULL AND t.project_id IN ({VISIBLE_PROJECTS})"
# the time of the capture that a viewer names: itself, by its time, by a detection, or by the first of an occurrence
_PLACE = """
SELECT i.timestamp FROM source_images i
WHERE i.event_id = t.id AND i.id = coalesce(
    CAST(%(at_capture)s AS bigint),
    (SELECT x.source_image_id FROM detections x WHERE x.id = %(at_detection)s),
    (SELECT x.source_image_id FROM detections x JOIN source_images c ON c.id = x.source_image_id
     WHERE x.occurrence_id = %(at_occurrence)s ORDER BY c.timestamp, c.id, x.id LIMIT 1)
)
UNION ALL
(SELECT i.timestamp FROM source_images i
 WHERE i.event_id = t.id AND i.timestamp = CAST(%(at_timestamp)s AS timestamp) LIMIT 1)
"""
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
    detail_columns=""", stats.most, stats.fewest, first.detections AS first_detections, hours.detections_by_hour,
        CASE WHEN %(names_place)s THEN CASE WHEN place.timestamp IS NOT NULL THEN earlier.captures END
             ELSE CAST(%(page_offset)s AS bigint) END AS page_offset""",
    detail_related=f"""
    CROSS JOIN LATERAL (
        SELECT max(each.detections) AS most, min(each.detections) AS fewest FROM (
            SELECT count(x.id) AS detections
            FROM source_images i LEFT JOIN detections x ON x.source_image_id = i.id
            WHERE i.event_id = t.id GROUP BY i.timestamp, i.id
        ) each
    ) stats
    CROSS JOIN LATERAL (
        SELECT count(*) AS detections FROM detections x
        WHERE x.source_image_id = CAST(examples.captures -> 0 ->> 'id' AS bigint) AND x.bbox IS NOT NULL
    ) first
    CROSS JOIN LATERAL (
        -- the project's filters are by determination, and nothing is determined yet: no occurrence is left out by them
        SELECT jsonb_agg(jsonb_build_array(each.hour, each.detections)) AS detections_by_hour FROM (
            SELECT extract(hour FROM i.timestamp) AS hour, count(*) AS detections
            FROM occurrences o
            JOIN detections x ON x.occurrence_id = o.id
            JOIN source_images i ON i.id = x.source_image_id
            WHERE o.event_id = t.id AND o.project_id = t.project_id AND x.bbox IS NOT NULL
              AND i.timestamp IS NOT NULL
            GROUP BY 1
        ) each
    ) hours
    LEFT JOIN LATERAL ({_PLACE}) place ON true
    CROSS JOIN LATERAL (
        SELECT count(*) AS captures FROM source_images i
        WHERE i.event_id = t.id AND i.timestamp < place.timestamp
    ) earlier
    """,
    order=("t.start", "t.id"),
    seen=_SEEN,
)
BRIEFLY = Listing(table="events", columns="t.id, t.project_id", seen=_SEEN)
"""Sessions by id alone, for whoever needs to know no more than that the viewer may see one."""

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
