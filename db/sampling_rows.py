"""Which captures a sampling method chooses, and putting them into a capture set: set-based SQL (domain 2.2, 2.3)."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from db.connections import Connection, value
from monitoring.sampling import COMMON

Arguments = Mapping[str, Any]
Sample = tuple[str, dict[str, Any]]
"""A SELECT that gives the column `id`, and its parameters; `:project_id` and `:seed` are always there."""

# a random order that is the same for the same seed: an attempt that is made again chooses the same captures
_SHUFFLED = "hashint8extended(i.id, %(seed)s)"


def _common(arguments: Arguments) -> Sample:
    """The captures of the project that pass the filters which most methods share; null is off."""
    values = {name: arguments[name] for name in COMMON if arguments[name] is not None}
    if "date_start" in values:
        values["date_start"] = date.fromisoformat(values["date_start"])
    if "date_end" in values:
        values["date_end"] = date.fromisoformat(values["date_end"])
    conditions = [_CONDITIONS[name] for name in values if name in _CONDITIONS]
    conditions += _hours(arguments["hour_start"], arguments["hour_end"])
    return " AND ".join(["i.project_id = %(project_id)s", *conditions]), values


_CONDITIONS = {
    "deployment_ids": "i.deployment_id = ANY(CAST(%(deployment_ids)s AS bigint[]))",
    "event_ids": "i.event_id = ANY(CAST(%(event_ids)s AS bigint[]))",
    "research_site_ids": "i.deployment_id IN (SELECT id FROM deployments"
    " WHERE research_site_id = ANY(CAST(%(research_site_ids)s AS bigint[])))",
    "date_start": "i.timestamp >= CAST(%(date_start)s AS date)",
    # without adding a day: the last date that there is has no day after it
    "date_end": "i.timestamp::date <= CAST(%(date_end)s AS date)",
    "month_start": "extract(month FROM i.timestamp) >= %(month_start)s",
    "month_end": "extract(month FROM i.timestamp) <= %(month_end)s",
}


def _hours(start: int | None, end: int | None) -> list[str]:
    """Whole hours, both ends included; from a later to an earlier hour (or the same) wraps past midnight."""
    hour = "extract(hour FROM i.timestamp)"
    from_start, to_end = f"{hour} >= %(hour_start)s", f"{hour} <= %(hour_end)s"
    if start is not None and end is not None and start >= end:
        return [f"({from_start} OR {to_end})"]
    return [from_start] * (start is not None) + [to_end] * (end is not None)


def _first(query: str, order: str, arguments: Arguments, values: dict[str, Any]) -> Sample:
    """The first `max_num` of what a query without an order gives; all of it, in no order, if null."""
    if arguments["max_num"] is None:
        return query, values
    return f"{query} ORDER BY {order} LIMIT %(max_num)s", {**values, "max_num": arguments["max_num"]}


def full(arguments: Arguments) -> Sample:
    """Every capture that passes the filters; of no more than `max_num` the first by time."""
    where, values = _common(arguments)
    return _first(f"SELECT i.id FROM source_images i WHERE {where}", "i.timestamp, i.id", arguments, values)


def random(arguments: Arguments) -> Sample:
    """`size` captures by lot, but no more than `max_num`; all if both are null."""
    where, values = _common(arguments)
    limits = [arguments[name] for name in ("size", "max_num") if arguments[name] is not None]
    return (
        f"SELECT i.id FROM source_images i WHERE {where} ORDER BY {_SHUFFLED}, i.id LIMIT %(size)s",
        {**values, "size": min(limits, default=None)},
    )


def interval(arguments: Arguments) -> Sample:
    """By station and time: the first, then each at least `minute_interval` after the last one taken.

    Of all stations together the first `max_num` by time.
    """
    where, values = _common(arguments)
    if arguments["deployment_ids"] is None and arguments["deployment_id"] is not None:
        where += " AND i.deployment_id = %(deployment_id)s"
        values["deployment_id"] = arguments["deployment_id"]
    if arguments["exclude_events"]:
        where += " AND (i.event_id IS NULL OR i.event_id <> ALL(CAST(%(exclude_events)s AS bigint[])))"
        values["exclude_events"] = arguments["exclude_events"]
    where += " AND i.deployment_id IS NOT NULL"
    query, values = _walk(where, values, arguments["minute_interval"], stations_apart=True)
    return f"{query} LIMIT %(max_num)s", {**values, "max_num": arguments["max_num"]}


def _walk(where: str, values: dict[str, Any], minutes: float, *, stations_apart: bool) -> Sample:
    where += " AND i.timestamp IS NOT NULL"
    if minutes <= 0:
        return f"SELECT i.id FROM source_images i WHERE {where} ORDER BY i.timestamp, i.id", values
    walk = f"{'PARTITION BY i.deployment_id' if stations_apart else ''} ORDER BY i.timestamp, i.id"
    return (
        f"""
        SELECT id FROM (
            SELECT i.*, lag(kept) OVER ({walk}) AS kept_before
            FROM (
                SELECT i.id, i.deployment_id, i.timestamp,
                       last_kept(i.timestamp, %(gap)s) OVER ({walk} ROWS UNBOUNDED PRECEDING) AS kept
                FROM source_images i WHERE {where}
            ) i
        ) walked
        WHERE kept_before IS DISTINCT FROM kept
        ORDER BY timestamp, id
        """,
        {**values, "gap": timedelta(minutes=minutes)},
    )


def manual(arguments: Arguments) -> Sample:
    """Those of `image_ids` that are in the project; of no more than `max_num` the first that are listed."""
    values = {"image_ids": arguments["image_ids"]}
    query = "SELECT i.id FROM source_images i WHERE i.project_id = %(project_id)s"
    if arguments["max_num"] is None:
        return f"{query} AND i.id = ANY(CAST(%(image_ids)s AS bigint[]))", values
    listed = """
        SELECT i.id FROM source_images i JOIN (
            SELECT id, min(place) AS place
            FROM unnest(CAST(%(image_ids)s AS bigint[])) WITH ORDINALITY AS each (id, place) GROUP BY id
        ) listed ON listed.id = i.id
        WHERE i.project_id = %(project_id)s
    """
    return _first(listed, "listed.place", arguments, values)


def _ranked(order: str, most: int | None, arguments: Arguments) -> Sample:
    """The first `most` captures of each session of the project in that order; all if null."""
    query = f"""
        SELECT id FROM (
            SELECT i.id, i.timestamp, row_number() OVER (PARTITION BY i.event_id ORDER BY {order}) AS place
            FROM source_images i JOIN events e ON e.id = i.event_id AND e.project_id = %(project_id)s
            WHERE i.project_id = %(project_id)s
        ) ranked
        WHERE (CAST(%(most)s AS bigint) IS NULL OR place <= %(most)s)
    """
    return _first(query, _IN_TURNS, arguments, {"most": most})


# as many sessions as can be: the first of each, then the second of each
_IN_TURNS = "place, timestamp, id"


def random_from_each_event(arguments: Arguments) -> Sample:
    """Up to `num_each` captures of each session by lot."""
    return _ranked(f"{_SHUFFLED}, i.id", arguments["num_each"], arguments)


def greatest_file_size_from_each_event(arguments: Arguments) -> Sample:
    """The `num_each` largest captures of each session; one of unknown size comes last."""
    return _ranked("i.size DESC NULLS LAST, i.id", arguments["num_each"], arguments)


def last_and_random_from_each_event(arguments: Arguments) -> Sample:
    """The newest capture of each session, and up to `num_each` others of it by lot."""
    others = arguments["num_each"]
    if others == 0:
        return _ranked("i.timestamp DESC NULLS LAST, i.id", 1, arguments)
    query = f"""
        SELECT id FROM (
            SELECT i.id, i.timestamp, row_number() OVER (
                PARTITION BY i.event_id ORDER BY i.age <> 1, {_SHUFFLED}, i.id
            ) AS place
            FROM (
                SELECT c.id, c.event_id, c.timestamp, row_number() OVER (
                    PARTITION BY c.event_id ORDER BY c.timestamp DESC NULLS LAST, c.id
                ) AS age
                FROM source_images c JOIN events e ON e.id = c.event_id AND e.project_id = %(project_id)s
                WHERE c.project_id = %(project_id)s
            ) i
        ) ranked
        WHERE (CAST(%(most)s AS bigint) IS NULL OR place <= %(most)s)
    """
    return _first(query, _IN_TURNS, arguments, {"most": None if others is None else others + 1})


def detections_only(arguments: Arguments) -> Sample:
    """Captures with at least one real detection: the mark that nothing was found is none."""
    query = (
        "SELECT i.id FROM source_images i WHERE i.project_id = %(project_id)s AND EXISTS"
        " (SELECT 1 FROM detections d WHERE d.source_image_id = i.id AND d.bbox IS NOT NULL)"
    )
    return _first(query, "i.timestamp, i.id", arguments, {})


def common_combined(arguments: Arguments) -> Sample:
    """All stations as one: every `minute_interval` minutes, or the first or a random `max_num`, or everything."""
    where, values = _common(arguments)
    if arguments["minute_interval"] is not None:
        query, values = _walk(where, values, arguments["minute_interval"], stations_apart=False)
    else:
        order = "i.deployment_id, i.event_id, i.timestamp, i.id"
        if arguments["max_num"] is not None and arguments["shuffle"]:
            order = f"{_SHUFFLED}, i.id"
        query = f"SELECT i.id FROM source_images i WHERE {where} ORDER BY {order}"
    return f"{query} LIMIT %(max_num)s", {**values, "max_num": arguments["max_num"]}


SAMPLERS: dict[str, Callable[[Arguments], Sample]] = {
    "full": full,
    "random": random,
    "interval": interval,
    "manual": manual,
    "random_from_each_event": random_from_each_event,
    "last_and_random_from_each_event": last_and_random_from_each_event,
    "greatest_file_size_from_each_event": greatest_file_size_from_each_event,
    "detections_only": detections_only,
    "common_combined": common_combined,
}
"""By the keys of `monitoring.sampling.METHODS` that have a sampler."""

# A FULL JOIN is hashed or merged, never looped: while statistics know nothing of a set that is just being filled, the
# planner takes it for empty, and would hold each member against each choice. Members are then named by where they lie
# (ctid), which nobody changes meanwhile: the set is locked, and rows of this table are never updated.
REPLACE = """
WITH chosen AS MATERIALIZED ({sample}), compared AS MATERIALIZED (
    SELECT chosen.id AS chosen_id, member.place
    FROM chosen FULL JOIN (
        SELECT m.source_image_id, m.ctid AS place FROM source_image_collection_images m
        WHERE m.collection_id = %(collection_id)s
    ) member ON member.source_image_id = chosen.id
    WHERE chosen.id IS NULL OR member.source_image_id IS NULL
), gone AS (
    DELETE FROM source_image_collection_images m
    WHERE m.ctid = ANY (ARRAY(SELECT place FROM compared WHERE chosen_id IS NULL))
), touched AS (
    UPDATE source_image_collections SET updated_at = now(), images_count = (SELECT count(*) FROM chosen)
    WHERE id = %(collection_id)s
), added AS (
    INSERT INTO source_image_collection_images (collection_id, source_image_id)
    SELECT %(collection_id)s, chosen_id FROM compared WHERE place IS NULL
)
SELECT count(*) FROM chosen
"""


async def replace(
    db: Connection, collection_id: int, project_id: int, method: str, arguments: Arguments, seed: int
) -> int:
    """Make a set hold exactly the captures that the method chooses; gives how many there are.

    The set must be locked (`capture_set_rows.lock`). `seed` (a bigint) settles every lot that is drawn.
    """
    sample, values = SAMPLERS[method](arguments)
    values |= {"collection_id": collection_id, "project_id": project_id, "seed": seed}
    total: int = await value(db, REPLACE.replace("{sample}", sample), values)
    return total
