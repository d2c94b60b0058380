"""How workflows are kept deterministic: Temporal's sandbox, with what it costs kept small.

Imported by the worker and by the tests that replay histories, never by a workflow.
"""

from typing import Any

from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

# pure modules: the sandbox would import them anew for each run, which only costs time
PURE = (
    "jobs",
    "monitoring",
    "workflows.running",
    "workflows.visibility",
    "workflows.run_records",
)


class _WithoutContext(WorkflowInstance):
    """A workflow instance whose payloads need no context: we use no codec and no external storage.

    The sandbox works out that context by running code inside itself three times for each payload, which is a
    sixth of the CPU time of a short job's worker. Everything else is the sandbox's own.
    """

    def __init__(self, sandboxed: WorkflowInstance) -> None:
        self._sandboxed = sandboxed

    def activate(self, act: Any) -> Any:
        return self._sandboxed.activate(act)

    def get_serialization_context(self, command_info: Any) -> None:
        return None

    def get_external_store_context(self, command_info: Any) -> Any:
        return None

    def get_info(self) -> Any:
        return self._sandboxed.get_info()

    def get_thread_id(self) -> int | None:
        return self._sandboxed.get_thread_id()


class _Runner(SandboxedWorkflowRunner):
    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _WithoutContext(super().create_instance(det))


def runner() -> SandboxedWorkflowRunner:
    """The runner of every worker."""
    return _Runner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PURE))
