"""Which execution in Temporal does the work of a run, and how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from db.job_rows import Workflow

PATIENCE = timedelta(seconds=1.2)
"""What one question to Temporal may take: no request waits longer for it."""


@dataclass(frozen=True)
class Described:
    """An execution as Temporal describes it.

    Read from the answer itself: the client's own class refuses a whole description for a state that it does not know,
    such as that of a workflow which `temporal workflow pause` holds.
    """

    workflow_id: str
    run_id: str
    chain: str
    """What all executions have in common that came of one start: by reset, or by continuing as new."""
    memo: Mapping[str, Any]
    answer: DescribeWorkflowExecutionResponse

    @property
    def status(self) -> str:
        """Temporal's word for its state, such as RUNNING or PAUSED; a number where we know none."""
        number = self.answer.workflow_execution_info.status
        try:
            return WorkflowExecutionStatus.Name(number).removeprefix("WORKFLOW_EXECUTION_STATUS_")
        except ValueError:
            return str(int(number))

    @property
    def is_open(self) -> bool:
        """Whether it has not ended, whatever its state is called."""
        return not self.answer.workflow_execution_info.HasField("close_time")


async def find(temporal: Client, workflow: Workflow) -> Described | None:
    """The execution that does the work of a run, or did; None if Temporal knows of none.

    A run that was reset in the Web UI goes on in another execution of the same chain: then it is that one. Raises
    RPCError, or RuntimeError, if Temporal cannot be reached.
    """
    claimed = None
    if workflow.execution is not None:
        claimed = await describe(temporal, workflow.id, workflow.execution)
        if claimed is not None and claimed.is_open:
            return claimed
    newest = await describe(temporal, workflow.id)
    if newest is None or (claimed is not None and newest.chain == claimed.chain):
        return newest
    # what the API starts says for which run it is
    return newest if newest.memo.get("run") == workflow.run else claimed


async def describe(temporal: Client, workflow_id: str, execution: str | None = None) -> Described | None:
    """One execution, or the newest of its id; None if Temporal knows of none.

    Raises RPCError, or RuntimeError, if Temporal cannot be reached.
    """
    try:
        answer = await temporal.workflow_service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(
                namespace=temporal.namespace,
                execution=WorkflowExecution(workflow_id=workflow_id, run_id=execution or ""),
            ),
            timeout=PATIENCE,
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    info = answer.workflow_execution_info
    memo = {
        name: (await temporal.data_converter.decode([payload]))[0]
        for name, payload in info.memo.fields.items()
    }
    return Described(info.execution.workflow_id, info.execution.run_id, info.first_run_id, memo, answer)
