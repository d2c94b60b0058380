"""What operators see of a job in Temporal's Web UI: search attributes, by which they filter, and current details."""

from typing import Any

from temporalio import workflow
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
)

from jobs import search_attributes as names
from jobs.job_type import JobType
from jobs.runs import ClaimedRun, JobResult
from jobs.stages import StageSnapshot, mean_progress
from jobs.status import Status

JOB_ID = SearchAttributeKey.for_int(names.JOB_ID)
JOB_TYPE = SearchAttributeKey.for_keyword(names.JOB_TYPE)
JOB_STATUS = SearchAttributeKey.for_keyword(names.JOB_STATUS)
JOB_PROGRESS = SearchAttributeKey.for_float(names.JOB_PROGRESS)
PROJECT_ID = SearchAttributeKey.for_int(names.PROJECT_ID)
STATION_ID = SearchAttributeKey.for_int(names.STATION_ID)


class Visibility:
    """Keeps what is shown up to date."""

    def __init__(self, job_type: JobType, run: ClaimedRun) -> None:
        self.run = run
        self.stages = {stage.key: stage for stage in job_type.snapshots(run.delay)}
        known = workflow.info().typed_search_attributes
        updates: list[SearchAttributeUpdate[Any]] = [JOB_STATUS.value_set(Status.STARTED.value)]
        if known.get(JOB_ID) is None:
            # started by a program, which need not know of them
            updates += [
                JOB_ID.value_set(run.job_id),
                JOB_TYPE.value_set(workflow.info().workflow_type),
                PROJECT_ID.value_set(run.project_id),
            ]
        if run.deployment_id is not None and known.get(STATION_ID) is None:
            updates.append(STATION_ID.value_set(run.deployment_id))
        workflow.upsert_search_attributes(updates)
        self.describe(Status.STARTED)

    def update(self, stage: StageSnapshot) -> None:
        """Show how far a stage is (also the signal by which a long activity tells of itself)."""
        self.stages[stage.key] = stage
        progress = mean_progress(list(self.stages.values()))
        workflow.upsert_search_attributes([JOB_PROGRESS.value_set(progress)])
        self.describe(Status.STARTED)

    def end(self, result: JobResult) -> None:
        """Show how the job ended."""
        self.stages = {stage.key: stage for stage in result.stages}
        progress = mean_progress(result.stages)
        workflow.upsert_search_attributes(
            [JOB_STATUS.value_set(result.status.value), JOB_PROGRESS.value_set(progress)]
        )
        self.describe(result.status)

    def describe(self, status: Status, *, paused: bool = False) -> None:
        stages = list(self.stages.values())
        rows = [
            f"| {stage.name} | {stage.status} | {stage.progress:.0%} | {counts_of(stage)} |"
            for stage in stages
        ]
        workflow.set_current_details(
            f"**Job {self.run.job_id}**, run {self.run.run}: {self.run.name}\n\n"
            f"**{status}**{', paused' if paused else ''}, {mean_progress(stages):.0%}\n\n"
            "| Stage | Status | Progress | CountCache |\n|---|---|---|---|\n" + "\n".join(rows)
        )


def counts_of(stage: StageSnapshot) -> str:
    return ", ".join(f"{param.name}: {param.value}" for param in stage.params if param.value != "")


def starting_attributes(
    job_id: int, job_type_key: str, project_id: int, deployment_id: int | None
) -> TypedSearchAttributes:
    """The search attributes that a run has from its start, before any worker has claimed it."""
    pairs: list[SearchAttributePair[int] | SearchAttributePair[str] | SearchAttributePair[float]] = [
        SearchAttributePair(JOB_ID, job_id),
        SearchAttributePair(JOB_TYPE, job_type_key),
        SearchAttributePair(JOB_STATUS, Status.PENDING.value),
        SearchAttributePair(PROJECT_ID, project_id),
        SearchAttributePair(JOB_PROGRESS, 0.0),
    ]
    if deployment_id is not None:
        pairs.append(SearchAttributePair(STATION_ID, deployment_id))
    return TypedSearchAttributes(pairs)
