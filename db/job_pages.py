"""Reading jobs for people."""

from db.listing import Listing
from db.stage_rows import joined
from db.storage_rows import joined as joined_source

JOBS = Listing(
    table="jobs",
    columns="""
    t.id, t.name, t.delay, t."limit", t.shuffle, t.status, t.run, t.job_type_key, t.dispatch_mode, t.result,
    t.created_at AT TIME ZONE %(zone)s AS created_at,
    greatest(t.updated_at, of_job.updated_at) AT TIME ZONE %(zone)s AS updated_at,
    t.started_at AT TIME ZONE %(zone)s AS started_at,
    t.finished_at AT TIME ZONE %(zone)s AS finished_at,
    t.paused_at AT TIME ZONE %(zone)s AS paused_at,
    extract(epoch FROM t.finished_at - t.started_at)::text AS duration,
    t.project_id, p.name AS project_name,
    t.deployment_id, d.name AS deployment_name,
    t.source_image_collection_id, c.name AS collection_name, c.method AS collection_method,
    t.source_image_single_id, i.path AS image_path, i.public_base_url AS image_base_url,
    i.width AS image_width, i.height AS image_height, i.timestamp AS image_timestamp,
    e.id AS image_event_id, stored.source AS image_source,
    t.pipeline_id, l.name AS pipeline_name, l.slug AS pipeline_slug, l.description AS pipeline_description,
    l.version AS pipeline_version, l.version_name AS pipeline_version_name,
    l.created_at AT TIME ZONE %(zone)s AS pipeline_created_at,
    l.updated_at AT TIME ZONE %(zone)s AS pipeline_updated_at,
    t.data_export_id, x.user_id AS export_user_id, x.project_id AS export_project_id, x.format AS export_format,
    x.filters AS export_filters, x.file_url AS export_file_url,
    of_job.stages
    """,
    related=f"""
    JOIN projects p ON p.id = t.project_id
    LEFT JOIN deployments d ON d.id = t.deployment_id
    LEFT JOIN source_image_collections c ON c.id = t.source_image_collection_id
    LEFT JOIN source_images i ON i.id = t.source_image_single_id
    LEFT JOIN events e ON e.id = i.event_id AND e.deployment_id IS NOT NULL
    LEFT JOIN deployments s ON s.id = i.deployment_id
    {joined_source("s.data_source_id")}
    LEFT JOIN pipelines l ON l.id = t.pipeline_id
    LEFT JOIN data_exports x ON x.id = t.data_export_id
    {joined("t.id")}
    """,
    # `stdout` and `stderr` are JSON texts
    detail_columns=", log.stdout, log.stderr",
    detail_related="""
    LEFT JOIN LATERAL (
        SELECT json_agg(to_char(g.created_at AT TIME ZONE %(zone)s, '[YYYY-MM-DD HH24:MI:SS] ')
                   || g.level || ' ' || g.message ORDER BY g.id DESC)::text AS stdout,
               (json_agg(g.message ORDER BY g.id DESC) FILTER (WHERE g.level IN ('ERROR', 'CRITICAL')))::text
                   AS stderr
        FROM (SELECT * FROM job_logs WHERE job_id = t.id ORDER BY id DESC LIMIT %(logs_limit)s) g
    ) log ON true
    """,
    order=("t.created_at DESC", "t.id DESC"),
)

# what a worker's poll needs of a job; any order will do, but not always the same: the first would be served alone
BRIEFLY = Listing(
    table="jobs",
    columns="""t.id, t.project_id, t.job_type_key, t.source_image_single_id,
        (SELECT slug FROM pipelines WHERE id = t.pipeline_id) AS pipeline_slug""",
    order=("md5(t.id::text || %(lot)s)", "t.id"),
)


def briefly(lot: str) -> Listing:
    """Jobs as a worker's poll reads them, in an order that `lot` settles."""
    return Listing(**{**vars(BRIEFLY), "values": {"lot": lot}})
