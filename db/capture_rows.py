"""Every query on captures (`source_images`). None commits."""

from db import storage_rows, writing
from db.connections import Connection, Row, one
from db.listing import Listing, jobs_of, times

_FOUND = """
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE x.bbox IS NOT NULL) AS detections, count(*) AS any,
           max(x.created_at) AT TIME ZONE %(zone)s AS last_processed
    FROM detections x WHERE x.source_image_id = t.id
) found
"""
CAPTURES = Listing(
    table="source_images",
    columns="""t.id, t.project_id, t.path, t.public_base_url, t.timestamp, t.width, t.height, t.size,
        t.deployment_id, d.name AS deployment_name,
        t.event_id, e.id AS session_id, e.start AS session_start, e."end" AS session_end,
        found.detections, found.any AS detections_or_none, found.last_processed, stored.source""",
    related=f"""
    LEFT JOIN deployments d ON d.id = t.deployment_id
    -- a session whose station was deleted is shown nowhere
    LEFT JOIN events e ON e.id = t.event_id AND e.deployment_id IS NOT NULL
    {storage_rows.joined("d.data_source_id")}
    {_FOUND}
    """,
    detail_columns=f""", {times("created_at", "updated_at", "last_modified")}, t.checksum, t.checksum_algorithm,
        t.uploaded_by_id, t.test_image, of_row.jobs, sets.collections, boxes.boxes,
        before.id AS previous_id, after.id AS next_id,
        CASE WHEN t.timestamp IS NOT NULL AND e.id IS NOT NULL THEN places.place END AS place,
        CASE WHEN e.id IS NOT NULL THEN places.captures END AS session_captures,
        starred.id IS NOT NULL AS starred""",
    detail_related=f"""
    {jobs_of("source_image_single_id")}
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object('id', c.id, 'name', c.name, 'method', c.method) ORDER BY c.id)
            AS collections
        FROM source_image_collection_images m JOIN source_image_collections c ON c.id = m.collection_id
        WHERE m.source_image_id = t.id
    ) sets ON true
    CROSS JOIN LATERAL (
        -- the project's filters are by determination, and nothing is determined yet: no occurrence is left out by them
        SELECT jsonb_agg(jsonb_build_object('id', x.id, 'bbox', x.bbox, 'occurrence_id', o.id) ORDER BY x.id) AS boxes
        FROM detections x LEFT JOIN occurrences o ON o.id = x.occurrence_id AND o.project_id = t.project_id
        WHERE x.source_image_id = t.id AND x.bbox IS NOT NULL
    ) boxes
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE i.timestamp <= t.timestamp) AS place, count(*) AS captures
        FROM source_images i WHERE i.event_id = e.id
    ) places
    LEFT JOIN LATERAL (
        SELECT i.id FROM source_images i
        WHERE i.event_id = e.id AND (i.timestamp, i.id) < (t.timestamp, t.id)
        ORDER BY i.timestamp DESC, i.id DESC LIMIT 1
    ) before ON true
    LEFT JOIN LATERAL (
        SELECT i.id FROM source_images i
        WHERE i.event_id = e.id AND (i.timestamp, i.id) > (t.timestamp, t.id)
        ORDER BY i.timestamp, i.id LIMIT 1
    ) after ON true
    LEFT JOIN LATERAL (
        SELECT c.id FROM source_image_collections c
        JOIN source_image_collection_images m ON m.collection_id = c.id
        WHERE c.project_id = t.project_id AND c.method = 'starred' AND m.source_image_id = t.id LIMIT 1
    ) starred ON true
    """,
    order=("t.timestamp", "t.id"),
)

_STORED = f"""
SELECT i.path, stored.source
FROM source_images i LEFT JOIN deployments d ON d.id = i.deployment_id {storage_rows.joined("d.data_source_id")}
WHERE i.id = %(id)s
"""


async def stored(db: Connection, capture_id: int) -> Row | None:
    """The path of a capture, and how the source is reached that it lies in."""
    return await one(db, _STORED, {"id": capture_id})


_STARRED_SET = """
SELECT id FROM source_image_collections
WHERE project_id = %(project_id)s AND method = 'starred' ORDER BY id LIMIT 1
"""


async def starred_set(db: Connection, project_id: int) -> int:
    """The capture set of a project's starred captures; made if there is none yet."""
    # two who star at once must not make it twice
    await db.execute("SELECT 1 FROM projects WHERE id = %(id)s FOR NO KEY UPDATE", {"id": project_id})
    row = await one(db, _STARRED_SET, {"project_id": project_id})
    if row is not None:
        return int(row["id"])
    values = {"name": "Starred Images", "project_id": project_id, "method": "starred"}
    return await writing.insert(db, "source_image_collections", values)
