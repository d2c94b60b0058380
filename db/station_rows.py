"""Every query on stations (`deployments`) and what they are made of: sites and devices. None commits."""

from collections.abc import Iterable
from dataclasses import dataclass

from db import storage_rows
from db.connections import Connection, Row, every, one
from db.listing import VISIBLE_PROJECTS, Listing, Viewer, jobs_of, times
from jobs.errors import StationNotFound

STATION = "(SELECT CAST(%(station_id)s AS bigint))"
"""A station in a statement over its captures, hidden from the planner.

One that statistics do not know yet, since it is just being synced, would look as if it had next to nothing: any plan
would do then, such as reading through all of its captures for each one of them.
"""

_COLUMNS = f"""
    t.id, t.name, t.description, t.image, t.latitude, t.longitude, t.events_count, t.captures_count,
    t.first_capture_timestamp, t.last_capture_timestamp, {times("created_at", "updated_at")},
    t.project_id, p.name AS project_name, p.image AS project_image,
    t.device_id, v.name AS device_name, t.research_site_id, s.name AS site_name, t.data_source_id, of_row.jobs
"""
_RELATED = f"""
    JOIN projects p ON p.id = t.project_id
    LEFT JOIN devices v ON v.id = t.device_id
    LEFT JOIN sites s ON s.id = t.research_site_id
    {jobs_of("deployment_id")}
"""
STATIONS = Listing(
    table="deployments",
    columns=_COLUMNS,
    related=_RELATED,
    detail_columns=f""", {times("data_source_last_checked")}, t.data_source_subdir, t.data_source_regex,
        t.data_source_total_files, t.data_source_total_size,
        b.name AS storage_name, b.bucket AS storage_bucket, b.prefix AS storage_prefix,
        b.endpoint_url AS storage_endpoint_url, examples.captures,
        nights.sessions""",
    detail_related=f"""
    LEFT JOIN storage_sources b ON b.id = t.data_source_id
    {storage_rows.joined("t.data_source_id")}
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(to_jsonb(i) ORDER BY i.size DESC NULLS LAST, i.id) AS captures
        FROM (
            -- the largest of the newest: those of all would be looked for among a million
            SELECT newest.*, stored.source FROM (
                SELECT id, path, public_base_url, width, height, timestamp, size, project_id
                FROM source_images WHERE deployment_id = t.id ORDER BY timestamp DESC, id DESC LIMIT 1000
            ) newest
            ORDER BY size DESC NULLS LAST, id LIMIT 10
        ) i
    ) examples ON true
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object('id', e.id, 'start', e.start, 'end', e."end") ORDER BY e.start DESC)
            AS sessions
        FROM (SELECT id, start, "end" FROM events WHERE deployment_id = t.id ORDER BY start DESC LIMIT 100) e
    ) nights ON true
    """,
    order=("t.name", "t.id"),
)
SITES = Listing(
    table="sites",
    columns=f"""t.id, t.name, t.description, t.project_id, {times("created_at", "updated_at")},
        CASE WHEN bounds.south IS NULL THEN NULL
             ELSE jsonb_build_array(bounds.south, bounds.west, bounds.north, bounds.east) END AS boundary_rect""",
    related="""
    CROSS JOIN LATERAL (
        SELECT min(d.latitude) AS south, min(d.longitude) AS west, max(d.latitude) AS north,
               max(d.longitude) AS east
        FROM deployments d WHERE d.research_site_id = t.id
    ) bounds
    """,
    order=("t.name", "t.id"),
)
DEVICES = Listing(
    table="devices",
    columns=f"t.id, t.name, t.description, t.project_id, {times('created_at', 'updated_at')}",
    order=("t.name", "t.id"),
)

_PROJECT = f"SELECT project_id FROM deployments WHERE id = %(id)s AND project_id IN ({VISIBLE_PROJECTS})"


async def project_of(db: Connection, viewer: Viewer, station_id: int) -> int | None:
    """The project of a station that the viewer may see."""
    row = await one(db, _PROJECT, {"id": station_id, **vars(viewer)})
    return None if row is None else int(row["project_id"])


_REFRESH = """
UPDATE deployments d
SET captures_count = counted.captures, data_source_total_files = counted.captures,
    data_source_total_size = counted.size, first_capture_timestamp = counted.first,
    last_capture_timestamp = counted.last, events_count = sessions.count
FROM unnest(CAST(%(ids)s AS bigint[])) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT count(*) AS captures, sum(size) AS size, min(timestamp) AS first, max(timestamp) AS last
    FROM source_images WHERE deployment_id = wanted.id
) counted
CROSS JOIN LATERAL (SELECT count(*) AS count FROM events WHERE deployment_id = wanted.id) sessions
WHERE d.id = wanted.id
"""


async def refresh(db: Connection, station_ids: Iterable[int | None]) -> None:
    """Count again what stations have: for whoever adds, moves or removes captures or sessions."""
    ids = sorted({station_id for station_id in station_ids if station_id is not None})
    if ids:
        await db.execute(_REFRESH, {"ids": ids})


_WITH_SOURCE = """
SELECT d.id, d.project_id FROM deployments d JOIN projects p ON p.id = d.project_id
WHERE d.project_id = %(project_id)s AND d.data_source_id IS NOT NULL
ORDER BY d.id FOR KEY SHARE OF d, p
"""


async def with_source(db: Connection, project_id: int) -> list[Row]:
    """The stations of a project that have a storage source. Neither is deleted before the end of the transaction."""
    return await every(db, _WITH_SOURCE, {"project_id": project_id})


_GET = """
SELECT d.id, d.name, p.session_time_gap_seconds
FROM deployments d LEFT JOIN projects p ON p.id = d.project_id WHERE d.id = %(id)s
"""


@dataclass(frozen=True)
class Station:
    """What a station is called, and how its project wants its captures grouped."""

    id: int
    name: str
    session_time_gap_seconds: int | None

    def __str__(self) -> str:
        return f"#{self.id} {self.name}"


async def get(db: Connection, station_id: int) -> Station:
    """One station; raises StationNotFound."""
    row = await one(db, _GET, {"id": station_id})
    if row is None:
        raise StationNotFound(station_id)
    return Station(**row)
