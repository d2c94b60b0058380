"""Asks for the jobs of a plan, and does to each what its kind says."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from temporalio.client import Client as Temporal
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from jobs.runs import JobRequest
from jobs.status import FINAL, Status
from tests.chaos import makers
from tests.chaos.client import Client, Refused, Unanswered
from tests.chaos.plan import BY_CHANCE, Fault, Kind, Plan, Wish
from tests.chaos.quiet import Movement, Patience, until_over
from tests.chaos.work import Fields
from tests.field import Field

logger = logging.getLogger("chaos.workload")


@dataclass
class Notes:
    """What the clients saw."""

    failed: dict[int, str] = field(default_factory=dict)
    """What could not be done at all, by the number of the wish."""
    unasked: dict[int, str] = field(default_factory=dict)
    """What was not asked for, since what had to come before it took too long."""
    clicked_by: dict[int, datetime] = field(default_factory=dict)
    """When both clicks of a double click were answered."""
    recoveries: list[tuple[Fault, float]] = field(default_factory=list)
    """Seconds from a fault to the success of its probe."""


class Workload:
    """The clients of one run of a plan."""

    def __init__(
        self,
        plan: Plan,
        client: Client,
        temporal: Temporal,
        task_queue: str,
        movement: Movement,
        patience: Patience,
    ) -> None:
        self.plan = plan
        self.client = client
        self.temporal = temporal
        self.task_queue = f"{task_queue}-jobs"
        self.movement = movement
        self.patience = patience
        self.notes = Notes()
        self.fields: dict[int, Fields] = {}
        self.ids: dict[int, int] = {}
        self._kinds: dict[Kind, Callable[[Wish], Awaitable[None]]] = {
            Kind.PLAIN: self._run,
            Kind.DELAYED: self._run,
            Kind.BAD: self._run,
            Kind.TWICE: self._run_twice,
            Kind.RETRIED: self._retry,
            Kind.CANCELLED_WAITING: self._cancel,
            Kind.CANCELLED_SOMETIME: self._cancel,
            Kind.PAUSED: self._pause,
            Kind.PROGRAM: self._start_by_program,
            Kind.PROBE: self._probe,
        }

    async def prepare(self, field: Field, folder: Path) -> None:
        """Make what the jobs need, and the jobs themselves, in the order of the plan: so all have the same ids."""
        for key, maker in makers.MAKERS.items():
            wishes = [wish for wish in self.plan.wishes if wish.work.job_type == key]
            prepared = await maker.prepare(field, folder, [wish.work for wish in wishes])
            self.fields |= {wish.number: given for wish, given in zip(wishes, prepared, strict=True)}
        for wish in self.plan.wishes:
            if wish.kind not in BY_CHANCE:
                job = await self.client.post("/jobs/", f"create {wish.number}", self._body(wish))
                self.ids[wish.number] = job["id"]

    def _body(self, wish: Wish) -> dict[str, Any]:
        given = {"name": wish.name, "delay": wish.delay, "job_type_key": wish.work.job_type}
        return {**given, **self.fields[wish.number]}

    async def do(self, wish: Wish) -> None:
        """Everything that is done to one job; what cannot be done is noted."""
        try:
            await self._kinds[wish.kind](wish)
        except (Unanswered, Refused) as error:
            logger.error("%s (%s): %s", wish.name, wish.kind, error)
            self.notes.failed[wish.number] = f"{type(error).__name__}: {error}"

    async def _post(self, wish: Wish, action: str, key: str = "") -> dict[str, Any]:
        return await self.client.post(
            f"/jobs/{self.ids[wish.number]}/{action}/", f"{key or action} {wish.number}"
        )

    async def _run(self, wish: Wish) -> None:
        await self._post(wish, "run")

    async def _run_twice(self, wish: Wish) -> None:
        await asyncio.gather(self._post(wish, "run", "click"), self._post(wish, "run", "second click"))
        self.notes.clicked_by[wish.number] = datetime.now(UTC)

    async def _retry(self, wish: Wish) -> None:
        await self._post(wish, "run")
        if await self._when_over(wish) is None:
            self.notes.unasked[wish.number] = "its retry was not asked for: the first run took too long"
        else:
            await self._post(wish, "retry")

    async def _cancel(self, wish: Wish) -> None:
        await self._post(wish, "run")
        await asyncio.sleep(wish.moment)
        await self._post(wish, "cancel")

    async def _pause(self, wish: Wish) -> None:
        await self._post(wish, "run")
        await asyncio.sleep(wish.moment)
        paused = await self._post(wish, "pause")
        if (paused["paused_at"] is not None) != (paused["status"] in ("PENDING", "STARTED")):
            raise Refused(f"pause: {paused['status']}, paused_at {paused['paused_at']}")
        await asyncio.sleep(wish.hold)
        resumed = await self._post(wish, "resume")
        if resumed["paused_at"] is not None:
            raise Refused(f"resume: {resumed['status']}, paused_at {resumed['paused_at']}")

    async def _start_by_program(self, wish: Wish) -> None:
        deadline = time.monotonic() + self.patience.longest
        while True:
            try:
                await self.temporal.start_workflow(
                    wish.work.job_type,
                    JobRequest(name=wish.name, delay=wish.delay, **self.fields[wish.number]),
                    id=workflow_id(wish),
                    task_queue=self.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                )
            except WorkflowAlreadyStartedError:
                return  # the answer to the first try was lost
            except (RPCError, RuntimeError) as error:
                logger.debug("%s: %s", wish.name, error)
                if time.monotonic() > deadline:
                    raise Unanswered(f"start {workflow_id(wish)}: {error}") from error
                await asyncio.sleep(0.3)
            else:
                return

    async def _probe(self, wish: Wish) -> None:
        job = await self.client.post("/jobs/?start_now", f"probe {wish.number}", self._body(wish))
        self.ids[wish.number] = job["id"]

    async def probe(self, fault: Fault) -> None:
        """Ask for a job as soon as something has gone wrong, and see how long it takes."""
        began = time.monotonic()
        wish = self.plan.wish(fault.probe)
        await self.do(wish)
        if wish.number not in self.ids:
            return
        try:
            status = await self._when_over(wish)
        except (Unanswered, Refused) as error:
            self.notes.failed[wish.number] = f"{type(error).__name__}: {error}"
            return
        if status == Status.SUCCESS:
            took = time.monotonic() - began
            logger.info("recovered from %s in %.1f s", fault.kind, took)
            self.notes.recoveries.append((fault, took))

    async def _when_over(self, wish: Wish) -> str | None:
        """How a job ended; null if it does not as long as anything moves, which the audit finds out."""
        status = ""

        async def over() -> bool:
            nonlocal status
            status = (await self.client.get(f"/jobs/{self.ids[wish.number]}/"))["status"]
            return status in FINAL

        await until_over(over, self.movement, self.patience, between_looks=0.1)
        return status if status in FINAL else None


def workflow_id(wish: Wish) -> str:
    """Under which a program starts it: once, however often it tries."""
    return f"chaos-{wish.number}"
