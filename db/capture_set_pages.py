"""Reading capture sets for people."""

from db.listing import Listing, jobs_of, times

CAPTURE_SETS = Listing(
    table="source_image_collections",
    columns=f"""t.id, t.name, t.description, t.project_id, t.method, t.kwargs, t.images_count AS images,
        {times("created_at", "updated_at")}, found.with_detections, found.processed, of_row.jobs""",
    related=f"""
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE real) AS with_detections, count(*) AS processed
        FROM (
            SELECT bool_or(d.bbox IS NOT NULL) AS real
            FROM source_image_collection_images m JOIN detections d ON d.source_image_id = m.source_image_id
            WHERE m.collection_id = t.id GROUP BY m.source_image_id
        ) each
    ) found
    {jobs_of("source_image_collection_id")}
    """,
)
