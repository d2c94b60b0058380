"""Reading exports of results."""

from db.listing import Listing, times
from db.stage_rows import joined

EXPORTS = Listing(
    table="data_exports",
    columns=f"""t.id, t.project_id, t.format, t.filters, t.filters_display, t.file_url, t.record_count,
        t.file_size, {times("created_at", "updated_at")}, t.user_id, u.name AS user_name, u.image AS user_image,
        p.name AS project_name, j.id AS job_id, j.name AS job_name, j.status AS job_status,
        j.job_type_key, j.source_image_single_id, j.result AS job_result, of_job.stages""",
    related=f"""
    JOIN users u ON u.id = t.user_id
    JOIN projects p ON p.id = t.project_id
    LEFT JOIN jobs j ON j.data_export_id = t.id
    {joined("j.id")}
    """,
)
