"""Every query by which the captures of a station are grouped into sessions. None commits.

The rules are those of monitoring.grouping.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from db import session_rows, station_rows
from db.connections import Connection, every, one, value
from db.station_rows import STATION
from monitoring.grouping import LONGEST

# ends with its transaction, so no crash leaves it behind; two stations of one hash only wait for each other
_KEY = "hashtextextended('sessions of station ' || CAST(%(station_id)s AS text), 0)"
_LOCK = f"SELECT pg_advisory_xact_lock({_KEY})"
_TRY_LOCK = f"SELECT pg_try_advisory_xact_lock({_KEY})"


async def lock(db: Connection, station_id: int) -> None:
    """Be alone in grouping this station until the end of the transaction; waits for whoever is at it."""
    await db.execute(_LOCK, {"station_id": station_id})


async def is_free(db: Connection, station_id: int) -> bool:
    """Whether nobody groups this station right now; outside of a transaction."""
    return bool(await value(db, _TRY_LOCK, {"station_id": station_id}))


# the gaps do not depend on where groups begin, so one pass finds them; only what lasts longer than a day is walked on
_STARTS = f"""
WITH RECURSIVE times AS (
    SELECT timestamp AS at, count(*) AS captures FROM source_images
    WHERE deployment_id = {STATION} AND timestamp IS NOT NULL GROUP BY timestamp
), walked AS (
    SELECT at, captures, at - lag(at) OVER (ORDER BY at) AS since FROM times
), found AS MATERIALIZED (
    SELECT array_agg(at ORDER BY at) FILTER (WHERE since IS NULL OR since >= %(gap)s) AS starts,
           count(*) FILTER (WHERE captures > 1) AS shared
    FROM walked
), runs AS (
    SELECT at, coalesce(lead(at) OVER (ORDER BY at), 'infinity') AS until FROM found, unnest(found.starts) AS at
), starts AS (
    SELECT at, until FROM runs
    UNION ALL
    SELECT next.at, starts.until FROM starts CROSS JOIN LATERAL (
        SELECT i.timestamp AS at FROM source_images i
        WHERE i.deployment_id = {STATION}
          AND i.timestamp > starts.at + CAST(%(longest)s AS interval) AND i.timestamp < starts.until
        ORDER BY i.timestamp LIMIT 1
    ) next
)
SELECT (SELECT shared FROM found) AS shared, array(SELECT at FROM starts ORDER BY at) AS starts
"""
_OWNERS = f"""
SELECT DISTINCT event_id AS id FROM source_images
WHERE deployment_id = {STATION} AND timestamp IS NOT NULL AND event_id IS NOT NULL
"""
# sessions of the same date keep their row, and with it their id
_MAKE = f"""
INSERT INTO events (project_id, deployment_id, group_by, start, "end")
SELECT d.project_id, d.id, night.day, night.first, night.first
FROM deployments d CROSS JOIN (
    SELECT to_char(at, 'YYYY-MM-DD') AS day, min(at) AS first
    FROM unnest(CAST(%(starts)s AS timestamp[])) AS at GROUP BY 1
) night
WHERE d.id = {STATION} ORDER BY night.day
ON CONFLICT (deployment_id, group_by) DO NOTHING
RETURNING id
"""
_BOUNDS = f"""
SELECT s.at AS first, coalesce(lead(s.at) OVER (ORDER BY s.at), 'infinity') AS until, e.id AS event_id
FROM unnest(CAST(%(starts)s AS timestamp[])) AS s (at)
JOIN events e ON e.deployment_id = {STATION} AND e.group_by = to_char(s.at, 'YYYY-MM-DD')
"""
_ASSIGN = f"""
WITH bounds AS MATERIALIZED ({_BOUNDS})
UPDATE source_images i SET event_id = bounds.event_id FROM bounds
WHERE i.deployment_id = {STATION} AND i.timestamp >= bounds.first AND i.timestamp < bounds.until
  AND i.event_id IS DISTINCT FROM bounds.event_id
"""
_GROUPED = f"SELECT DISTINCT event_id AS id FROM ({_BOUNDS}) bounds"
_ADOPT = f"""
UPDATE events e SET project_id = d.project_id FROM deployments d
WHERE d.id = {STATION} AND e.deployment_id = d.id AND e.project_id IS NULL
"""
_REALIGN = f"""
WITH first AS (
    SELECT DISTINCT ON (o.id) o.id, i.event_id
    FROM occurrences o
    JOIN detections x ON x.occurrence_id = o.id
    JOIN source_images i ON i.id = x.source_image_id
    WHERE o.deployment_id = {STATION}
    ORDER BY o.id, i.timestamp, i.id, x.id
)
UPDATE occurrences o SET event_id = first.event_id, updated_at = now() FROM first
WHERE o.id = first.id AND o.event_id IS DISTINCT FROM first.event_id
"""
_REMOVE_EMPTY = f"""
DELETE FROM events e
WHERE e.deployment_id = {STATION}
  AND NOT EXISTS (SELECT 1 FROM source_images i WHERE i.event_id = e.id)
  AND NOT EXISTS (SELECT 1 FROM occurrences o WHERE o.event_id = e.id)
"""
_COUNT = f"""
SELECT count(*) FILTER (WHERE event_id IS NOT NULL AND timestamp IS NOT NULL) AS grouped,
       count(*) FILTER (WHERE event_id IS NULL AND timestamp IS NOT NULL) AS ungrouped,
       count(*) FILTER (WHERE timestamp IS NULL) AS undated,
       (SELECT count(*) FROM events WHERE deployment_id = {STATION}) AS sessions
FROM source_images WHERE deployment_id = {STATION}
"""
_GROUPED_NOW = "UPDATE deployments SET grouped_at = now() WHERE id = %(station_id)s"
_NEEDED = f"""
SELECT coalesce(bool_or(i.event_id IS NULL AND i.timestamp IS NOT NULL), false)
       OR coalesce(bool_or(i.updated_at > d.grouped_at), false)
       OR coalesce(bool_or(e.deployment_id IS DISTINCT FROM d.id AND e.id IS NOT NULL), false)
       OR count(i.id) <> d.captures_count AS needed
FROM deployments d
LEFT JOIN source_images i ON i.deployment_id = d.id
LEFT JOIN events e ON e.id = i.event_id
WHERE d.id = {STATION} GROUP BY d.id
"""


async def is_needed(db: Connection, station_id: int) -> bool:
    """Whether the sessions of a station are not what its captures say (domain 4.1).

    So if captures have no session, or that of another station, or were changed since the station was grouped, or are
    not as many as were counted.
    """
    row = await one(db, _NEEDED, {"station_id": station_id})
    return row is not None and bool(row["needed"])


@dataclass(frozen=True)
class Grouped:
    """What grouping a station came to (domain 4.4)."""

    captures_grouped: int
    """Captures with a time and a session."""
    events_created: int
    events_touched: int
    """Sessions that captures belong to now, and those that lost some; also where nothing changed."""
    empty_events_deleted: int
    duplicate_timestamps: int
    """Times that more than one capture has."""
    ungrouped_captures: int
    """Captures with a time and without a session."""
    captures_missing_timestamp: int
    sessions: int
    """How many the station has then."""


async def group(db: Connection, station_id: int, gap: timedelta) -> Grouped:
    """Make the sessions of a station what the rules say, and its cached counts with them; whoever calls holds `lock`.

    Only captures that change their session are written. Captures without a time keep the session that they have.
    """
    station = {"station_id": station_id}
    row = await one(db, _STARTS, {**station, "gap": gap, "longest": LONGEST})
    assert row is not None
    starts: list[datetime] = row["starts"]
    touched = {each["id"] for each in await every(db, _OWNERS, station)}
    groups = {**station, "starts": starts}
    created = (await db.execute(_MAKE, groups)).rowcount
    await db.execute(_ASSIGN, groups)
    await db.execute(_ADOPT, station)
    touched |= {each["id"] for each in await every(db, _GROUPED, groups)}
    await db.execute(_REALIGN, station)
    await session_rows.refresh(db, touched)
    deleted = (await db.execute(_REMOVE_EMPTY, station)).rowcount
    await station_rows.refresh(db, [station_id])
    await db.execute(_GROUPED_NOW, station)
    counts = await one(db, _COUNT, station)
    assert counts is not None
    return Grouped(
        captures_grouped=counts["grouped"],
        events_created=created,
        events_touched=len(touched),
        empty_events_deleted=deleted,
        duplicate_timestamps=row["shared"],
        ungrouped_captures=counts["ungrouped"],
        captures_missing_timestamp=counts["undated"],
        sessions=counts["sessions"],
    )
