"""How an execution that ended without closing its run came to its end."""

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client

from jobs.status import Status
from temporal.executions import PATIENCE, Described


async def how_it_ended(temporal: Client, ended: Described) -> tuple[Status, str]:
    """The state that its run has by that, and what the job's log is to say of it."""
    answer = await temporal.workflow_service.get_workflow_execution_history_reverse(
        GetWorkflowExecutionHistoryReverseRequest(
            namespace=temporal.namespace,
            execution=WorkflowExecution(workflow_id=ended.workflow_id, run_id=ended.run_id),
            maximum_page_size=1,
        ),
        timeout=PATIENCE,
    )
    return _words(answer.history.events[0])


def _words(event: HistoryEvent) -> tuple[Status, str]:
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
        terminated = event.workflow_execution_terminated_event_attributes
        reason = f": {terminated.reason}" if terminated.reason else ""
        return Status.REVOKED, f"Its workflow was terminated in Temporal by {terminated.identity}{reason}"
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
        return Status.REVOKED, "Its workflow was cancelled in Temporal"
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
        return Status.FAILURE, "Its workflow timed out in Temporal"
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
        failure = event.workflow_execution_failed_event_attributes.failure
        return Status.FAILURE, f"Its workflow failed in Temporal: {failure.message}"
    return Status.FAILURE, "Its workflow ended in Temporal without closing the run"
