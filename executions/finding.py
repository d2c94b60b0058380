"""Which execution in Temporal does the work of a run, and how it stands."""

from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from db.job_rows import Workflow

PATIENCE = timedelta(seconds=1.2)
"""What one question to Temporal may take: no request waits longer for it."""


async def find(temporal: Client, workflow: Workflow) -> WorkflowExecutionDescription | None:
    """The execution that does the work of a run, or did; None if Temporal knows of none.

    A run that was reset in the Web UI goes on in another execution of the same chain: then it is that one. Raises
    RPCError, or RuntimeError, if Temporal cannot be reached.
    """
    claimed = None
    if workflow.execution is not None:
        claimed = await _describe(temporal, workflow.id, workflow.execution)
        if claimed is not None and claimed.status is WorkflowExecutionStatus.RUNNING:
            return claimed
    newest = await _describe(temporal, workflow.id)
    if newest is None or (claimed is not None and _chain(newest) == _chain(claimed)):
        return newest
    # what the API starts says for which run it is
    return newest if (await newest.memo()).get("run") == workflow.run else claimed


async def _describe(
    temporal: Client, workflow_id: str, execution: str | None = None
) -> WorkflowExecutionDescription | None:
    try:
        handle = temporal.get_workflow_handle(workflow_id, run_id=execution)
        return await handle.describe(rpc_timeout=PATIENCE)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


def _chain(description: WorkflowExecutionDescription) -> str:
    """What all executions have in common that came of one start: by reset, or by continuing as new."""
    return description.raw_description.workflow_execution_info.first_run_id
