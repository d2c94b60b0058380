"""Starts and stops the workflows behind jobs: what PostgreSQL says was asked for, carried to Temporal."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from db.job_rows import Launch, Workflow
from jobs.runs import JobRequest
from jobs.stages import JOBS_QUEUE
from workflows.running import starting_attributes

logger = logging.getLogger("nightjar.launcher")

# no request waits longer for Temporal: what could not be carried over is the courier's
PATIENCE = timedelta(seconds=2)
LAST_LINES = 1.0
"""Seconds that the workflow of a run before may take to end; its row is over and fenced, so nothing is lost."""
UNREACHABLE = (RPCError, TimeoutError, RuntimeError)
"""What a client raises for a server that cannot be reached: a lazy connection fails with RuntimeError."""


class Launcher:
    """Talks to Temporal for the API; never raises because Temporal is out of reach."""

    def __init__(self, temporal: Client, task_queue: str) -> None:
        self.temporal = temporal
        self.task_queue = f"{task_queue}-{JOBS_QUEUE}"

    async def start(self, launch: Launch) -> bool:
        """Start the workflow of a run, once however often it is asked; false if that did not come about."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                while (found := await self._start_or_find(launch)) is not None:
                    # the workflow of a run before: usually it is writing its last lines
                    if time.monotonic() - began > LAST_LINES:
                        await self._end(launch.workflow_id, found, f"Superseded by run {launch.run}")
                    await asyncio.sleep(0.05)
        except UNREACHABLE as error:
            logger.warning(
                "job %s waits: its workflow cannot be started now: %s", launch.job_id, words(error)
            )
            return False
        return True

    async def _start_or_find(self, launch: Launch) -> str | None:
        """Start the workflow; gives the execution of another run that is in the way, if one is."""
        try:
            await self.temporal.start_workflow(
                launch.job_type_key,
                JobRequest(job_id=launch.job_id, run=launch.run),
                id=launch.workflow_id,
                task_queue=self.task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                memo={"run": launch.run, **({"request_id": launch.request_id} if launch.request_id else {})},
                search_attributes=starting_attributes(
                    launch.job_id, launch.job_type_key, launch.project_id, launch.deployment_id
                ),
                static_summary=f"#{launch.job_id} {launch.name}",
                rpc_timeout=PATIENCE,
            )
        except WorkflowAlreadyStartedError:
            run, execution = await self._newest(launch.workflow_id)
            return None if run == launch.run else execution
        return None

    async def _newest(self, workflow_id: str) -> tuple[int | None, str]:
        """The number of the run that the newest execution under an id is for, and that execution."""
        description = await self.temporal.get_workflow_handle(workflow_id).describe(rpc_timeout=PATIENCE)
        run: int | None = (await description.memo()).get("run")
        return run, description.run_id

    async def reachable(self) -> bool:
        """Whether Temporal answers."""
        try:
            return bool(await self.temporal.service_client.check_health(timeout=PATIENCE / 2))
        except UNREACHABLE:
            return False

    async def cancel(self, workflow: Workflow) -> None:
        """Ask the workflow of a run to stop: it closes the run itself."""
        await self._tell(workflow, lambda handle: handle.cancel(rpc_timeout=PATIENCE))

    async def terminate(self, workflow: Workflow, reason: str) -> None:
        """End the workflow of a run that is over without it."""
        await self._tell(workflow, lambda handle: handle.terminate(reason=reason, rpc_timeout=PATIENCE))

    async def _end(self, workflow_id: str, execution: str, reason: str) -> None:
        handle = self.temporal.get_workflow_handle(workflow_id, run_id=execution)
        try:
            await handle.terminate(reason=reason, rpc_timeout=PATIENCE)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # not found: it has ended meanwhile
                raise

    async def _tell(
        self, workflow: Workflow, word: Callable[[WorkflowHandle[Any, Any]], Awaitable[None]]
    ) -> None:
        """Tell the execution of that run and no other: the next run may have begun under the same id."""
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                execution = workflow.execution
                if execution is None:
                    run, execution = await self._newest(workflow.id)
                    if run != workflow.run:
                        return
                await word(self.temporal.get_workflow_handle(workflow.id, run_id=execution))
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # not found: over, which is what was wanted
                logger.warning("workflow %s could not be told to stop: %s", workflow.id, error)
        except UNREACHABLE as error:
            logger.warning("workflow %s could not be told to stop: %s", workflow.id, words(error))


def words(error: BaseException) -> str:
    """What an error says; its kind if it says nothing."""
    return str(error) or type(error).__name__
