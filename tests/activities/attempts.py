"""Attempts at a stage as Temporal makes them, and what they left in PostgreSQL."""

from dataclasses import replace
from typing import Any

from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from db import stage_rows
from db.connections import Connection, Database, every
from jobs.runs import ClaimedRun
from jobs.stages import Stage, StageSnapshot
from workflows.populate_captures_collection import JOB_TYPE

STAGE = Stage(JOB_TYPE.key, JOB_TYPE.name, takes=ClaimedRun, gives=type(None), params=("Captures added",))


async def messages(database: Database, run: ClaimedRun) -> list[str]:
    async with database.transaction() as db:
        rows = await every(
            db, "SELECT message FROM job_logs WHERE job_id = %(id)s ORDER BY id OFFSET 2", {"id": run.job_id}
        )
    return [row["message"] for row in rows]


async def recorded(db: Connection, run: ClaimedRun) -> tuple[StageSnapshot, dict[str, Any] | None]:
    """The stage and the cursor, as they are committed."""
    stage = next(each for each in await stage_rows.get_all(db, run.job_id) if each.key == STAGE.key)
    rows = await every(db, "SELECT cursor FROM job_stages WHERE job_id = %(id)s", {"id": run.job_id})
    return stage, rows[0]["cursor"]


def environment(attempt: int = 1, client: Client | None = None) -> ActivityEnvironment:
    made = ActivityEnvironment(client)
    made.info = replace(made.info, attempt=attempt)
    return made
