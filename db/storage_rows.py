"""Reading storage sources. Their keys are never read for people."""

from db.connections import Connection, Row, one
from db.listing import Listing, times
from db.writing import RowGone

STORAGE = Listing(
    table="storage_sources",
    columns=f"""t.id, t.name, t.bucket, t.region, t.prefix, t.endpoint_url, t.public_base_url, t.project_id,
        {times("last_checked", "created_at", "updated_at")},
        stations.count AS deployments_count, stations.files, stations.size, stations.captures""",
    related="""
    CROSS JOIN LATERAL (
        SELECT count(*) AS count, sum(d.data_source_total_files)::bigint AS files,
               sum(d.data_source_total_size)::bigint AS size, sum(d.captures_count)::bigint AS captures
        FROM deployments d WHERE d.data_source_id = t.id
    ) stations
    """,
)

ACCESS = (
    "bucket",
    "prefix",
    "region",
    "access_key",
    "secret_key",
    "endpoint_url",
    "public_base_url",
    "trusted",
)
"""How a source is reached, keys and all: for the client of the store alone, never for people."""


def joined(source_id: str) -> str:
    """A join that gives how a source is reached, as `stored.source`; null if there is none."""
    columns = ", ".join(f"'{name}', b.{name}" for name in ACCESS)
    return f"""
    LEFT JOIN LATERAL (
        SELECT jsonb_build_object({columns}) AS source FROM storage_sources b WHERE b.id = {source_id}
    ) stored ON true
    """


_ACCESS = f"SELECT {', '.join(ACCESS)} FROM storage_sources WHERE id = %(id)s"
_CHECKED = "UPDATE storage_sources SET last_checked = now() WHERE id = %(id)s"


async def access(db: Connection, source_id: int) -> Row | None:
    """How a source is reached."""
    return await one(db, _ACCESS, {"id": source_id})


async def mark_checked(db: Connection, source_id: int) -> None:
    """The source has just been looked at; raises RowGone."""
    done = await db.execute(_CHECKED, {"id": source_id})
    if not done.rowcount:
        raise RowGone("storage_sources", source_id)
