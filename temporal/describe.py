"""What Temporal says of a run right now: its execution, its activities, and who polls the queues that it waits in."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import (
    EventType,
    PendingActivityState,
    PendingWorkflowTaskState,
    TaskQueueType,
)
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import PendingActivityInfo, PendingWorkflowTaskInfo
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

from db.job_rows import Workflow
from diagnosis.facts import (
    SILENT,
    ActivityFacts,
    Poller,
    QueueFacts,
    TemporalFacts,
    WorkflowFacts,
    WorkflowTaskFacts,
)
from jobs.stages import JOBS_QUEUE, Stage
from temporal.executions import PATIENCE, Described, find

WORKFLOWS = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
ACTIVITIES = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
_STARTED = (
    PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
    PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED,
    PendingActivityState.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED,
)
_FELL_SILENT = "the worker fell silent"
_LAST_EVENTS = 5


async def look(
    temporal: Client, task_queue: str, workflow: Workflow, stages: Iterable[Stage[Any, Any]]
) -> TemporalFacts:
    """What Temporal says of a run whose stages are these; that it is out of reach is a fact too.

    `task_queue` is that of workflows. Takes no longer than a single question may.
    """
    queue_of = {stage.key: task_queue.removesuffix(JOBS_QUEUE) + stage.queue for stage in stages}
    names = sorted(set(queue_of.values()))
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            found, workflows, activities = await asyncio.gather(
                _look_at_run(temporal, workflow),
                describe_queue(temporal, task_queue, WORKFLOWS),
                asyncio.gather(*(describe_queue(temporal, name, ACTIVITIES) for name in names)),
            )
    except TimeoutError:
        return TemporalFacts(unreachable=f"no answer within {PATIENCE.total_seconds()} s")
    except (RPCError, RuntimeError) as error:
        # a lazy connection fails with RuntimeError
        return TemporalFacts(unreachable=str(error) or type(error).__name__)
    by_name = dict(zip(names, activities, strict=True))
    return TemporalFacts(
        workflow=found, workflows=workflows, stages={key: by_name[name] for key, name in queue_of.items()}
    )


async def describe_queue(temporal: Client, name: str, kind: TaskQueueType.ValueType) -> QueueFacts:
    """Who polls a task queue, and how much waits in it. Raises RPCError if Temporal cannot say."""
    answer = await temporal.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=temporal.namespace,
            task_queue=TaskQueue(name=name),
            task_queue_type=kind,
            report_stats=True,
        ),
        timeout=PATIENCE,
    )
    age = answer.stats.approximate_backlog_age
    return QueueFacts(
        name=name,
        pollers=tuple(Poller(each.identity, _time(each.last_access_time)) for each in answer.pollers),
        backlog=answer.stats.approximate_backlog_count,
        backlog_age=timedelta(seconds=age.seconds, microseconds=age.nanos // 1000),
    )


async def _look_at_run(temporal: Client, workflow: Workflow) -> WorkflowFacts | None:
    found = await find(temporal, workflow)
    if found is None:
        return None
    said = found.answer
    info = said.workflow_execution_info
    return WorkflowFacts(
        status=found.status,
        closed_at=_time(info.close_time) if info.HasField("close_time") else None,
        cancel_requested=said.workflow_extended_info.cancel_requested,
        task=await _task(temporal, found),
        activities=tuple(_activity(each) for each in said.pending_activities),
    )


async def _task(temporal: Client, found: Described) -> WorkflowTaskFacts | None:
    if not found.answer.HasField("pending_workflow_task"):
        return None
    task: PendingWorkflowTaskInfo = found.answer.pending_workflow_task
    return WorkflowTaskFacts(
        started=task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED,
        scheduled_at=_time(task.original_scheduled_time),
        attempt=task.attempt,
        failure=await _task_failure(temporal, found) if task.attempt > 1 else "",
    )


async def _task_failure(temporal: Client, found: Described) -> str:
    """Why the newest step of the workflow failed; empty if its worker fell silent instead.

    Of failures in a row the history has the first one only.
    """
    answer = await temporal.workflow_service.get_workflow_execution_history_reverse(
        GetWorkflowExecutionHistoryReverseRequest(
            namespace=temporal.namespace,
            execution=WorkflowExecution(workflow_id=found.workflow_id, run_id=found.run_id),
            maximum_page_size=_LAST_EVENTS,
        ),
        timeout=PATIENCE,
    )
    return next((_words_of(event) for event in answer.history.events if _ends_a_task(event)), "")


def _ends_a_task(event: HistoryEvent) -> bool:
    return event.event_type in (
        EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    )


def _words_of(event: HistoryEvent) -> str:
    if event.event_type != EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
        return ""
    return event.workflow_task_failed_event_attributes.failure.message or "the step failed"


def _activity(info: PendingActivityInfo) -> ActivityFacts:
    kind, message = _failure(info.last_failure) if info.HasField("last_failure") else ("", "")
    return ActivityFacts(
        key=info.activity_type.name,
        started=info.state in _STARTED,
        attempt=info.attempt,
        paused=info.paused,
        scheduled_at=_field(info, "scheduled_time"),
        started_at=_field(info, "last_started_time"),
        heartbeat_at=_field(info, "last_heartbeat_time"),
        next_attempt_at=_field(info, "next_attempt_schedule_time"),
        worker=info.last_worker_identity,
        failure_type=kind,
        failure=message,
    )


def _failure(failure: Failure) -> tuple[str, str]:
    """Type and words of a failure."""
    if failure.HasField("timeout_failure_info"):
        return SILENT, _FELL_SILENT
    kind = failure.application_failure_info.type
    return kind, failure.message or kind or "failed without a word"


def _field(info: PendingActivityInfo, name: str) -> datetime | None:
    # an empty field may be there, or the beginning of time
    moment: Timestamp = getattr(info, name)
    return _time(moment) if moment.seconds > 0 else None


def _time(moment: Timestamp) -> datetime:
    return moment.ToDatetime(tzinfo=UTC)
