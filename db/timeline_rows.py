"""The timeline of a session: how many captures and detections there are in each interval of it."""

from db.connections import Connection, Row, every

MOST_INTERVALS = 2880
"""Minutes of two days: grouping makes no longer sessions (monitoring.grouping), but people may name any end."""
_LONGEST = MOST_INTERVALS * 60_000_000
"""What intervals of a minute cover, in microseconds."""

# One reading of the session's captures, in the order of their index. `place` is where a capture is in the order of time
# and, since arrays are compared by their first elements, what `min` and `max` find a capture by.
_TIMELINE = f"""
WITH captures AS MATERIALIZED (
    SELECT i.id, i.timestamp, row_number() OVER (ORDER BY i.timestamp, i.id) AS place,
           count(x.bbox) AS detections, count(x.id) > 0 AS processed
    FROM source_images i LEFT JOIN detections x ON x.source_image_id = i.id
    WHERE i.event_id = %(session_id)s GROUP BY i.timestamp, i.id
), totals AS (
    SELECT min(timestamp) AS first, max(timestamp) AS last, coalesce(max(detections), 0) AS max_detections,
           coalesce(min(detections), 0) AS min_detections, coalesce(sum(detections), 0)::bigint AS total_detections
    FROM captures
), bounds AS (
    SELECT totals.*, greatest(e.start, totals.first) AS begins,
           -- where one says that a session begins after its last capture, it lasts no time
           greatest(e.start, totals.first, least(coalesce(e."end", now() AT TIME ZONE %(zone)s), totals.last)) AS ends
    FROM events e CROSS JOIN totals WHERE e.id = %(session_id)s
), lasting AS (
    -- in microseconds
    SELECT *, (extract(epoch FROM ends - begins) * 1000000)::bigint AS lasts FROM bounds
), needed AS (
    SELECT *, greatest((lasts + {_LONGEST} - 1) / {_LONGEST}, 1) AS least_minutes FROM lasting
), chosen AS (
    SELECT *, coalesce(CAST(%(minutes)s AS bigint), least_minutes) AS minutes FROM needed
), scale AS (
    SELECT *, make_interval(mins => minutes::int) AS step,
           greatest((lasts + minutes * 60000000 - 1) / (minutes * 60000000), 1) AS intervals
    FROM chosen
), starts AS (
    -- none if there would be too many: a condition on a join would be asked of each, after all of them were made
    SELECT generate_series(begins, CASE
        WHEN intervals > {MOST_INTERVALS} THEN begins - interval '1 microsecond'
        ELSE greatest(ends - interval '1 microsecond', begins)
    END, step) AS "from"
    FROM scale
), kinds AS (
    -- the end of an interval is in it, its beginning in the one before; only the first has both
    SELECT greatest(date_bin(s.step, c.timestamp - interval '1 microsecond', s.begins), s.begins) AS "from",
           c.detections, count(*) AS captures, bool_or(c.processed) AS processed,
           min(ARRAY[c.place, c.id]) AS first, max(ARRAY[c.place, c.id]) AS last
    FROM captures c CROSS JOIN scale s
    WHERE c.timestamp <= s.ends AND s.intervals <= {MOST_INTERVALS}
    GROUP BY 1, 2
), counted AS (
    SELECT "from", sum(captures)::bigint AS captures, sum(captures * detections)::bigint AS detections,
           bool_or(processed) AS processed, (min(first))[2] AS first_id,
           (max(detections || last))[3] AS top_id,
           (max(ARRAY[captures, - first[1], detections]) FILTER (WHERE detections > 0))[3] AS usual
    FROM kinds GROUP BY 1
)
SELECT s.begins, s.ends, s.minutes, s.least_minutes, s.intervals,
       s.max_detections, s.min_detections, s.total_detections,
       n."from", least(n."from" + s.step, s.ends) AS until,
       coalesce(c.captures, 0) AS captures, coalesce(c.detections, 0) AS detections, coalesce(c.usual, 0) AS usual,
       coalesce(c.processed, false) AS processed, c.first_id, c.top_id
FROM scale s LEFT JOIN starts n ON true LEFT JOIN counted c ON c."from" = n."from"
ORDER BY n."from"
"""


async def read(db: Connection, session_id: int, minutes: int | None, zone: str) -> list[Row]:
    """The intervals of a session, each with what holds for all of them; nothing if there is no such session.

    `minutes` is how long an interval is; null for a minute, or for as many as it takes to keep to MOST_INTERVALS.
    Where there would be more, one row says how many (`intervals`), and how long they must be (`least_minutes`).
    A session without an end lasts until now, by the clock of `zone`.
    """
    return await every(db, _TIMELINE, {"session_id": session_id, "minutes": minutes, "zone": zone})
