"""Every query by which captures learn how large their pictures are (domain 4.2, rule 8). None commits."""

from collections.abc import Sequence
from dataclasses import dataclass

from db.connections import Connection, every

_KNOWN = """
WITH half_known AS (
    SELECT event_id AS id FROM source_images
    WHERE deployment_id = %(station_id)s AND event_id IS NOT NULL GROUP BY event_id
    HAVING bool_or(width IS NULL AND height IS NULL) AND bool_or(width IS NOT NULL AND height IS NOT NULL)
)
SELECT half_known.id AS session_id, measured.width, measured.height
FROM half_known CROSS JOIN LATERAL (
    SELECT width, height FROM source_images
    WHERE event_id = half_known.id AND width IS NOT NULL AND height IS NOT NULL
    ORDER BY timestamp, id LIMIT 1
) measured
ORDER BY half_known.id
"""
# by their session alone: with the station, too, the planner may walk through all of the station's captures instead
_UNKNOWN = """
SELECT e.id AS session_id, first.path
FROM events e CROSS JOIN LATERAL (
    SELECT path FROM source_images
    WHERE event_id = e.id AND width IS NULL AND height IS NULL
    ORDER BY timestamp, id LIMIT 1
) first
WHERE e.deployment_id = %(station_id)s AND e.id > %(after)s
ORDER BY e.id LIMIT %(most)s
"""
# looked up session by session: captures without a size may be all or none of a station's, which statistics learn late
_SPREAD = """
UPDATE source_images i SET width = unsized.width, height = unsized.height
FROM (
    SELECT capture.id, m.width, m.height
    FROM unnest(CAST(%(sessions)s AS bigint[]), CAST(%(widths)s AS int[]), CAST(%(heights)s AS int[]))
         AS m (session_id, width, height)
    CROSS JOIN LATERAL (
        SELECT id FROM source_images WHERE event_id = m.session_id AND width IS NULL AND height IS NULL OFFSET 0
    ) capture
) unsized
WHERE i.id = unsized.id
"""


@dataclass(frozen=True)
class Measured:
    """How large the pictures of a session are, in pixels."""

    session_id: int
    width: int
    height: int


@dataclass(frozen=True)
class Unmeasured:
    """A session of which nothing is known, and the key of its first capture."""

    session_id: int
    path: str


async def known(db: Connection, station_id: int) -> list[Measured]:
    """Sessions with captures that lack their size, where another capture has one."""
    return [Measured(**row) for row in await every(db, _KNOWN, {"station_id": station_id})]


async def unknown(db: Connection, station_id: int, after: int, most: int) -> list[Unmeasured]:
    """The next sessions, by id, of which no capture has a size."""
    values = {"station_id": station_id, "after": after, "most": most}
    return [Unmeasured(**row) for row in await every(db, _UNKNOWN, values)]


async def spread(db: Connection, measured: Sequence[Measured]) -> int:
    """Give the captures of sessions that have no size that of the session; gives how many got one."""
    if not measured:
        return 0
    values = {
        "sessions": [each.session_id for each in measured],
        "widths": [each.width for each in measured],
        "heights": [each.height for each in measured],
    }
    return (await db.execute(_SPREAD, values)).rowcount
