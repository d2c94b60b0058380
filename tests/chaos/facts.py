"""What there is in the end: as PostgreSQL, the API and Temporal tell it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from temporalio.client import Client as Temporal
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from tests.chaos import makers
from tests.chaos.client import Client
from tests.chaos.plan import Plan
from tests.chaos.work import Fields
from tests.field import Field
from workflows.registry import JOB_TYPES


@dataclass(frozen=True)
class LogLine:
    run: int
    level: str
    message: str
    at: datetime


@dataclass(frozen=True)
class Execution:
    """One workflow execution."""

    run_id: str
    status: str
    failure: str | None = None
    """Type of the error that it ended with."""


@dataclass(frozen=True)
class JobFacts:
    """One job, wherever something is known of it."""

    id: int
    name: str
    status: str
    run: int
    started: bool
    finished: bool
    workflow_id: str
    workflow_run_id: str | None
    stages: Mapping[str, str]
    """State by key."""
    lines: Sequence[LogLine] = ()
    over_rest: str | None = None
    """Its status as the API's list tells it."""
    executions: Sequence[Execution] = ()


@dataclass(frozen=True)
class NotQuiet:
    """That something still moved when the time to wait was over: most of what there is then says nothing."""

    waited: float
    """Seconds."""
    moving: Sequence[str]
    """Each job that was not over, or not closed, or not asked for all that it was to be, and what it waited for."""


@dataclass
class Facts:
    """Everything, at the end of a run."""

    jobs: list[JobFacts]
    before: dict[int, str] = field(default_factory=dict)
    """What there was of each effect before anything ran, by number of the wish."""
    effects: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    clicked_by: dict[int, datetime] = field(default_factory=dict)
    odd_answers: list[str] = field(default_factory=list)
    changed_late: list[str] = field(default_factory=list)
    """Tables that changed after everything was over."""
    not_quiet: NotQuiet | None = None
    made: set[int] = field(default_factory=set)
    """Wishes whose job the API has answered for: whatever is still under way, there is a row."""


async def effects(plan: Plan, field: Field, fields: Mapping[int, Fields]) -> dict[int, str]:
    """What there is of the effect of each wish."""
    found: dict[int, str] = {}
    for key, maker in makers.MAKERS.items():
        numbers = [wish.number for wish in plan.wishes if wish.work.job_type == key]
        told = await maker.effects(field, [fields[number] for number in numbers])
        found |= dict(zip(numbers, told, strict=True))
    return found


_JOBS = """
SELECT id, name, status, run, started_at IS NOT NULL AS started, finished_at IS NOT NULL AS finished,
       coalesce(workflow_id, 'job-' || id) AS workflow_id, workflow_run_id,
       (SELECT coalesce(jsonb_object_agg(key, s.status), '{}') FROM job_stages s WHERE s.job_id = jobs.id) AS stages
FROM jobs ORDER BY id
"""
_LINES = "SELECT job_id, run, level, message, created_at FROM job_logs ORDER BY id"


async def jobs(field: Field, client: Client, temporal: Temporal) -> list[JobFacts]:
    """Every job there is, asked for or not."""
    lines: dict[int, list[LogLine]] = {}
    for row in await field.read(_LINES):
        line = LogLine(row["run"], row["level"], row["message"], row["created_at"])
        lines.setdefault(row["job_id"], []).append(line)
    over_rest = await _over_rest(client)
    executions = await _executions(temporal)
    return [
        JobFacts(
            **row,
            lines=lines.get(row["id"], ()),
            over_rest=over_rest.get(row["id"]),
            executions=executions.get(row["workflow_id"], ()),
        )
        for row in await field.read(_JOBS)
    ]


async def _over_rest(client: Client) -> dict[int, str]:
    found: dict[int, str] = {}
    while True:
        page = await client.get(f"/jobs/?limit=500&offset={len(found)}&ordering=created_at")
        before = len(found)
        found |= {job["id"]: job["status"] for job in page["results"]}
        if not page["next"] or len(found) == before:
            return found


_OF_JOBS = f"WorkflowType IN ({', '.join(repr(key) for key in JOB_TYPES)})"
"""The sweep is no job."""


async def _executions(temporal: Temporal) -> dict[str, list[Execution]]:
    found: dict[str, list[Execution]] = {}
    async for each in temporal.list_workflows(_OF_JOBS):
        status = each.status.name if each.status is not None else "UNKNOWN"
        failure = await _failure(temporal, each) if status == "FAILED" else None
        found.setdefault(each.id, []).append(Execution(each.run_id, status, failure))
    return found


async def _failure(temporal: Temporal, execution: WorkflowExecution) -> str | None:
    try:
        await temporal.get_workflow_handle(execution.id, run_id=execution.run_id).result()
    except WorkflowFailureError as error:
        return error.cause.type if isinstance(error.cause, ApplicationError) else type(error.cause).__name__
    return None


async def running_workflows(temporal: Temporal) -> dict[str, str]:
    """Workflows of jobs that are not closed: their ids by the ids of their executions."""
    return {
        each.run_id: each.id
        async for each in temporal.list_workflows(f'{_OF_JOBS} AND ExecutionStatus = "Running"')
        if each.status is WorkflowExecutionStatus.RUNNING
    }


_OPEN = "SELECT id, name, status FROM jobs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'REVOKED') ORDER BY id"


async def open_jobs(field: Field) -> list[dict[str, Any]]:
    """Jobs that are not over: id, name, status."""
    return [dict(row) for row in await field.read(_OPEN)]


async def jobs_there(field: Field) -> int:
    """How many jobs there are."""
    count: int = (await field.read("SELECT count(*) AS n FROM jobs"))[0]["n"]
    return count


_ROWS = "sum(hashtextextended(t::text, 0)::numeric)"
_PRINTS = {
    "jobs": _ROWS,
    "job_stages": _ROWS,
    "job_logs": "max(t.id)",
    "source_image_collections": _ROWS,
    "source_image_collection_images": "sum(t.source_image_id)",
    "deployments": _ROWS,
    "storage_sources": _ROWS,
    "events": _ROWS,
    "source_images": _ROWS,
    "sync_sightings": _ROWS,
}


async def fingerprint(field: Field) -> dict[str, Any]:
    """What changes if anything does in the tables that jobs write to."""
    return {
        table: (await field.read(f"SELECT count(*) AS many, {told} AS told FROM {table} t"))[0]
        for table, told in _PRINTS.items()
    }
