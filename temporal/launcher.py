"""Starts and stops the workflows behind jobs: what PostgreSQL says was asked for, carried to Temporal."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from db.job_rows import RunStart, Workflow
from jobs.runs import JobRequest
from jobs.stages import JOBS_QUEUE
from temporal.executions import PATIENCE, describe, find
from workflows.run_records import STATE_CHANGED
from workflows.visibility import starting_attributes

logger = logging.getLogger("nightjar.launcher")

AWAY = 3.0
"""Seconds for which requests take Temporal to be away, and do not wait for it, once it did not answer."""
LAST_LINES = 0.5
"""Seconds that the workflow of a run before may take to end; its row is over and fenced, so nothing is lost."""
UNREACHABLE = (RPCError, TimeoutError, RuntimeError)
"""What a client raises for a server that cannot be reached: a lazy connection fails with RuntimeError."""
SILENT = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)


class Launcher:
    """Says to Temporal what PostgreSQL says was asked for; never raises because Temporal is out of reach.

    What could not be said is delivered later, by the outbox relay or the sweep.
    """

    def __init__(self, temporal: Client, task_queue: str) -> None:
        self.temporal = temporal
        self.task_queue = f"{task_queue}-{JOBS_QUEUE}"
        self._away_until = -math.inf

    @property
    def away(self) -> bool:
        """Whether Temporal did not answer a moment ago: then no request waits for it."""
        return time.monotonic() < self._away_until

    def _note(self, error: BaseException) -> None:
        if not isinstance(error, RPCError) or error.status in SILENT:
            self._away_until = time.monotonic() + AWAY

    async def start(self, launch: RunStart, *, insist: bool = False) -> bool:
        """Start the workflow of a run, once however often it is asked; false if that did not come about.

        Temporal is not even tried while it is away, except by who insists.
        """
        if self.away and not insist:
            return False
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                while (found := await self._start_or_find(launch)) is not None:
                    # the workflow of a run before: usually it is writing its last lines
                    if time.monotonic() - began > LAST_LINES:
                        await self._end(launch.workflow_id, found, f"Superseded by run {launch.run}")
                    await asyncio.sleep(0.05)
        except UNREACHABLE as error:
            self._note(error)
            logger.warning(
                "job %s waits: its workflow cannot be started now: %s", launch.job_id, words(error)
            )
            return False
        self._away_until = -math.inf
        return True

    async def _start_or_find(self, launch: RunStart) -> str | None:
        """Start the workflow; gives the execution of another run that is in the way, if one is."""
        if await self._start(launch, WorkflowIDReusePolicy.REJECT_DUPLICATE):
            return None
        newest = await describe(self.temporal, launch.workflow_id)
        if newest is None:  # forgotten at this very moment
            return await self._start_or_find(launch)
        if newest.memo.get("run") == launch.run:
            # started before, though its answer was lost; if it has ended since, that is how the run ended
            return None
        if newest.is_open:
            return newest.run_id
        started = await self._start(launch, WorkflowIDReusePolicy.ALLOW_DUPLICATE)
        return None if started else newest.run_id

    async def _start(self, launch: RunStart, reuse: WorkflowIDReusePolicy) -> bool:
        """False if an execution is in the way."""
        try:
            await self.temporal.start_workflow(
                launch.job_type_key,
                JobRequest(job_id=launch.job_id, run=launch.run),
                id=launch.workflow_id,
                task_queue=self.task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=reuse,
                memo={"run": launch.run, **({"request_id": launch.request_id} if launch.request_id else {})},
                search_attributes=starting_attributes(
                    launch.job_id, launch.job_type_key, launch.project_id, launch.deployment_id
                ),
                static_summary=f"#{launch.job_id} {launch.name}",
                rpc_timeout=PATIENCE,
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def reachable(self) -> bool:
        """Whether Temporal answers."""
        try:
            return bool(await self.temporal.service_client.check_health(timeout=PATIENCE))
        except UNREACHABLE:
            return False

    async def cancel(self, workflow: Workflow) -> bool:
        """Ask the workflow of a run to stop: it closes the run itself. False if it was not told."""
        if self.away:
            return False
        return await self._tell(workflow, lambda handle: handle.cancel(rpc_timeout=PATIENCE))

    async def terminate(self, workflow: Workflow, reason: str) -> bool:
        """End the workflow of a run that is over without it. False if it was not told."""
        return await self._tell(
            workflow, lambda handle: handle.terminate(reason=reason, rpc_timeout=PATIENCE)
        )

    async def state_changed(self, workflow: Workflow) -> bool:
        """Have the workflow of a run look at its row: it was paused, or is so no more. False if it was not told."""
        return await self._tell(workflow, lambda handle: handle.signal(STATE_CHANGED, rpc_timeout=PATIENCE))

    async def _end(self, workflow_id: str, execution: str, reason: str) -> None:
        handle = self.temporal.get_workflow_handle(workflow_id, run_id=execution)
        try:
            await handle.terminate(reason=reason, rpc_timeout=PATIENCE)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # not found: it has ended meanwhile
                raise

    async def _tell(
        self, workflow: Workflow, word: Callable[[WorkflowHandle[Any, Any]], Awaitable[None]]
    ) -> bool:
        """Tell the execution of that run and no other: the next run may have begun under the same id.

        Gives whether the word is where it belongs: with the execution, or needless because that is over.
        """
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                if not await self._tell_execution(workflow.id, workflow.execution, word):
                    # over, reset away, or not claimed yet
                    found = await find(self.temporal, workflow)
                    if found is not None and found.is_open:
                        await self._tell_execution(workflow.id, found.run_id, word)
        except UNREACHABLE as error:
            self._note(error)
            logger.warning("workflow %s could not be told: %s", workflow.id, words(error))
            return False
        return True

    async def _tell_execution(
        self,
        workflow_id: str,
        execution: str | None,
        word: Callable[[WorkflowHandle[Any, Any]], Awaitable[None]],
    ) -> bool:
        """False if there is no such execution that could hear it."""
        if execution is None:
            return False
        try:
            await word(self.temporal.get_workflow_handle(workflow_id, run_id=execution))
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True


def words(error: BaseException) -> str:
    """What an error says; its kind if it says nothing."""
    return str(error) or type(error).__name__
