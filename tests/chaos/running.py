"""Runs a plan twice, undisturbed and disturbed, each on fresh servers, and judges what came of it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client as Temporal

from db.connections import Database
from jobs.status import FINAL
from temporal.connection import connect
from tests.chaos import facts as facts_of
from tests.chaos import report, stack
from tests.chaos.audit import Audit, Finding, Flaw
from tests.chaos.client import Client, Refused, Unanswered, client_of
from tests.chaos.facts import Facts, NotQuiet
from tests.chaos.faults import Faults
from tests.chaos.plan import HOW_MANY, Kind, Plan, Wish
from tests.chaos.quiet import Movement, Patience, until_over
from tests.chaos.report import Report
from tests.chaos.stack import Platform
from tests.chaos.workload import Workload
from tests.field import Field

logger = logging.getLogger("chaos")

FENCE = 5.0
"""Seconds, at the end, in which nothing may change any more."""
ONE_EACH = {"api": 1, "worker": 1}
"""What the undisturbed run needs: nothing of it dies."""
AT_ONCE = 12
"""Jobs that the undisturbed run starts side by side."""

Say = Callable[[str], None]


@dataclass
class Scene:
    """One run of a plan, and what it works with."""

    platform: Platform
    field: Field
    client: Client
    temporal: Temporal
    workload: Workload


@dataclass(frozen=True)
class Outcome:
    """What one run left."""

    facts: Facts
    quiet_after: float
    workflows_closed_after: float


async def run(
    plan: Plan, folder: Path, say: Say, *, fence: float = FENCE, patience: Patience | None = None
) -> Report:
    """Both runs of a plan, and their audit; of the undisturbed one only, where that does not become quiet in time."""
    patience = patience or Patience()
    began = time.monotonic()
    say(f"seed {plan.seed}: {len(plan.wishes)} jobs, {len(plan.faults)} faults; undisturbed run")
    async with scene(plan, folder / "undisturbed", ONE_EACH, patience) as calm:
        before = await facts_of.effects(plan, calm.field, calm.workload.fields)
        await _undisturbed(calm.workload)
        undisturbed_outcome = await _outcome(calm, before, fence=0)
    reference = undisturbed_outcome.facts
    undisturbed = round(time.monotonic() - began, 1)
    calm_plan = Plan(plan.seed, plan.seconds, tuple(wish.calm for wish in plan.wishes), ())
    found = Audit(calm_plan, reference).findings()
    if reference.not_quiet is None:
        found += _without_effect(calm_plan, reference)
    findings = [Finding(each.flaw, each.number, f"without any fault: {each.what}") for each in found]
    if reference.not_quiet is not None:
        say("not quiet in time without any fault: no disturbed run")
        return _report(plan, calm, undisturbed_outcome, findings, {}, undisturbed)
    say(f"disturbed run, {plan.seconds:.0f} s")
    async with scene(plan, folder / "disturbed", HOW_MANY, patience) as scene_:
        before = await facts_of.effects(plan, scene_.field, scene_.workload.fields)
        faults = Faults(scene_.platform)
        await _disturbed(plan, scene_.workload, faults)
        await scene_.platform.all_up()
        say("all faults are over; waiting for quiet")
        outcome = await _outcome(scene_, before, fence=fence)
    findings += Audit(plan, outcome.facts, reference).findings()
    return _report(plan, scene_, outcome, findings, faults.done, undisturbed)


def _report(
    plan: Plan,
    scene: Scene,
    outcome: Outcome,
    findings: list[Finding],
    faults: dict[str, int],
    undisturbed: float,
) -> Report:
    return report.make(
        plan,
        outcome.facts,
        findings,
        faults=faults,
        notes=scene.workload.notes,
        figures=scene.client.figures,
        ended_by_themselves=scene.platform.ended_by_themselves,
        quiet_after=round(outcome.quiet_after, 1),
        workflows_closed_after=round(outcome.workflows_closed_after, 1),
        undisturbed_seconds=undisturbed,
    )


@asynccontextmanager
async def scene(
    plan: Plan, folder: Path, many: Mapping[str, int], patience: Patience
) -> AsyncIterator[Scene]:
    """Fresh servers, with all jobs of the plan made and none started."""
    async with (
        stack.running(folder, many) as platform,
        Database(platform.settings.database_url, size=4, name="chaos", check=True) as database,
    ):
        field = Field(database)
        person = await field.person("chaos@example.org", superuser=True)
        async with client_of(platform.apis, person.headers) as client:
            temporal = await connect(platform.settings)
            movement = Movement(field)
            queue = platform.settings.task_queue
            workload = Workload(plan, client, temporal, queue, movement, patience)
            await workload.prepare(field, Path(platform.settings.storage_roots))
            logger.info("%s: all jobs are made", folder.name)
            async with movement.watched():
                yield Scene(platform, field, client, temporal, workload)


async def _undisturbed(workload: Workload) -> None:
    """All jobs as fast as it goes; those that a cancel may hit at any moment show their whole effect."""
    places = asyncio.Semaphore(AT_ONCE)

    async def do(wish: Wish) -> None:
        async with places:
            await workload.do(wish.calm)

    async with asyncio.TaskGroup() as group:
        for wish in workload.plan.wishes:
            group.create_task(do(wish))


async def _disturbed(plan: Plan, workload: Workload, faults: Faults) -> None:
    """Jobs and faults at their times; ends when all is asked for and every fault is undone."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:

        async def at(seconds: float) -> None:
            await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))

        async def ask() -> None:
            for wish in plan.wishes:
                if wish.kind is not Kind.PROBE:
                    await at(wish.at)
                    group.create_task(workload.do(wish))

        async def disturb() -> None:
            for fault in plan.faults:
                await at(fault.at)
                group.create_task(faults.inject(fault))
                # the fault has begun when the loop comes back to it; the probe is asked for at once
                group.create_task(workload.probe(fault))
            await at(plan.seconds)

        group.create_task(ask())
        group.create_task(disturb())


async def _outcome(scene: Scene, before: dict[int, str], *, fence: float) -> Outcome:
    """Wait for quiet, see that it stays quiet for so many seconds, and gather what there is."""
    workload, field = scene.workload, scene.field
    movement, patience = workload.movement, workload.patience
    logger.info("waiting until all is over")
    began = time.monotonic()

    async def jobs_over() -> bool:
        there = await facts_of.jobs_there(field)
        return there >= len(workload.plan.wishes) and not await facts_of.open_jobs(field)

    quiet = await until_over(jobs_over, movement, patience, between_looks=0.2)
    jobs_took = time.monotonic() - began
    logger.info("%s, after %.1f s", "all is over" if quiet else "not quiet in time", jobs_took)
    first = await facts_of.fingerprint(field)

    async def closed() -> float:
        nonlocal quiet
        began = time.monotonic()
        quiet = await until_over(_Closing(scene.temporal, movement).over, movement, patience, 0.5) and quiet
        return time.monotonic() - began

    # what moves on is not waited for once more
    closed_after, _ = await asyncio.gather(closed(), asyncio.sleep(fence)) if quiet else (0.0, None)
    last = await facts_of.fingerprint(field)
    facts = Facts(
        jobs=await facts_of.jobs(field, scene.client, scene.temporal),
        before=before,
        effects=await facts_of.effects(workload.plan, field, workload.fields),
        failed=workload.notes.failed,
        clicked_by=workload.notes.clicked_by,
        odd_answers=scene.client.figures.odd,
        changed_late=[table for table in first if first[table] != last[table]],
        made=set(workload.ids),
    )
    facts.not_quiet = await _not_quiet(scene, facts, quiet=quiet, waited=jobs_took + closed_after)
    return Outcome(facts, jobs_took, closed_after)


class _Closing:
    """Workflows that are being closed, which moves nothing in PostgreSQL."""

    def __init__(self, temporal: Temporal, movement: Movement) -> None:
        self._temporal = temporal
        self._movement = movement
        self._before: set[str] | None = None

    async def over(self) -> bool:
        running = set(await facts_of.running_workflows(self._temporal))
        if self._before is not None and running != self._before:
            self._movement.moved()
        self._before = running
        return not running


async def _not_quiet(scene: Scene, facts: Facts, *, quiet: bool, waited: float) -> NotQuiet | None:
    """What still moves, and why; None where nothing does."""
    final = {job.name for job in facts.jobs if job.status in FINAL}
    # whose job has ended after all, but too late for what was to be done with it
    unasked = {
        wish.number: scene.workload.notes.unasked[wish.number]
        for wish in scene.workload.plan.wishes
        if wish.number in scene.workload.notes.unasked and wish.name in final
    }
    if quiet and not unasked:
        return None
    moving = [f"Chaos {number}: {words}" for number, words in unasked.items()]
    if not quiet:
        moving += [
            f"{job['name']}: {await _why(scene, job)}" for job in await facts_of.open_jobs(scene.field)
        ]
        known = {job.workflow_id for job in facts.jobs if job.status not in FINAL}
        running = await facts_of.running_workflows(scene.temporal)
        moving += [f"workflow {each} is not closed" for each in running.values() if each not in known]
    return NotQuiet(round(waited, 1), moving)


async def _why(scene: Scene, job: dict[str, Any]) -> str:
    """What a job waits for, in the API's words."""
    words = f"job {job['id']} is {job['status']}"
    try:
        said = await scene.client.get(f"/jobs/{job['id']}/explain/")
    except (Unanswered, Refused) as error:
        return f"{words}; nobody says why: {error}"
    return f"{words}: {said['summary']}"


def _without_effect(plan: Plan, facts: Facts) -> list[Finding]:
    """Jobs whose effect cannot be seen: to compare it would prove nothing."""
    return [
        Finding(Flaw.WRONG, wish.number, "its effect cannot be told from what was there before")
        for wish in plan.wishes
        if wish.kind not in (Kind.BAD, Kind.CANCELLED_WAITING)
        and facts.effects[wish.number] == facts.before[wish.number]
    ]
