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

from db.job_rows import Launch
from jobs.runs import JobRequest
from jobs.stages import JOBS_QUEUE
from workflows.running import starting_attributes

logger = logging.getLogger("nightjar.launcher")

# no request waits longer for Temporal: what could not be carried over is the courier's
PATIENCE = timedelta(seconds=2)
UNREACHABLE = (RPCError, TimeoutError, RuntimeError)
"""What a client raises for a server that cannot be reached: a lazy connection fails with RuntimeError."""


class Launcher:
    """Talks to Temporal for the API; never raises because Temporal is out of reach."""

    def __init__(self, temporal: Client, task_queue: str) -> None:
        self.temporal = temporal
        self.task_queue = f"{task_queue}-{JOBS_QUEUE}"

    async def start(self, launch: Launch) -> bool:
        """Start the workflow of a run, once however often it is asked; false if that did not come about."""
        deadline = time.monotonic() + PATIENCE.total_seconds()
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                while not await self._start_or_find(launch):
                    # the workflow of the run before is writing its last lines
                    if time.monotonic() > deadline:
                        return False
                    await asyncio.sleep(0.05)
        except UNREACHABLE as error:
            logger.warning("job %s waits: its workflow cannot be started now: %s", launch.job_id, error)
            return False
        return True

    async def _start_or_find(self, launch: Launch) -> bool:
        try:
            await self.temporal.start_workflow(
                launch.job_type_key,
                JobRequest(job_id=launch.job_id, run=launch.run),
                id=launch.workflow_id,
                task_queue=self.task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                memo={"run": launch.run},
                search_attributes=starting_attributes(
                    launch.job_id, launch.job_type_key, launch.project_id, launch.deployment_id
                ),
                static_summary=f"#{launch.job_id} {launch.name}",
                rpc_timeout=PATIENCE,
            )
        except WorkflowAlreadyStartedError:
            return await self._run_of(launch.workflow_id) == launch.run
        return True

    async def _run_of(self, workflow_id: str) -> int | None:
        description = await self.temporal.get_workflow_handle(workflow_id).describe(rpc_timeout=PATIENCE)
        run: int | None = (await description.memo()).get("run")
        return run

    async def cancel(self, workflow_id: str) -> None:
        """Ask the workflow to stop: it closes its run itself."""
        await self._tell(workflow_id, lambda handle: handle.cancel(rpc_timeout=PATIENCE))

    async def terminate(self, workflow_id: str, reason: str) -> None:
        """End a workflow whose run is over without it."""
        await self._tell(workflow_id, lambda handle: handle.terminate(reason=reason, rpc_timeout=PATIENCE))

    async def _tell(
        self, workflow_id: str, word: Callable[[WorkflowHandle[Any, Any]], Awaitable[None]]
    ) -> None:
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                await word(self.temporal.get_workflow_handle(workflow_id))
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # not found: over, which is what was wanted
                logger.warning("workflow %s could not be told to stop: %s", workflow_id, error)
        except UNREACHABLE as error:
            logger.warning("workflow %s could not be told to stop: %s", workflow_id, error)
