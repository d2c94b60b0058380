"""Runs a plan twice, undisturbed and disturbed, each on fresh servers, and judges what came of it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client as Temporal

from db.connections import Database
from temporal.connection import connect
from tests.chaos import facts as facts_of
from tests.chaos import report, stack
from tests.chaos.audit import Audit, Finding, Flaw
from tests.chaos.client import Client, client_of
from tests.chaos.facts import Facts
from tests.chaos.faults import Faults
from tests.chaos.plan import HOW_MANY, Kind, Plan, Wish
from tests.chaos.report import Report
from tests.chaos.stack import Platform
from tests.chaos.workload import Workload
from tests.field import Field

logger = logging.getLogger("chaos")

STUCK_AFTER = 60.0
"""Seconds after the last fault in which every job must be over."""
WORKFLOWS_END_AFTER = 75.0
"""A workflow that waits for the word that it was cancelled ends by itself after a minute."""
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


async def run(plan: Plan, folder: Path, say: Say, *, fence: float = FENCE) -> Report:
    """Both runs of a plan, and their audit."""
    began = time.monotonic()
    say(f"seed {plan.seed}: {len(plan.wishes)} jobs, {len(plan.faults)} faults; undisturbed run")
    async with scene(plan, folder / "undisturbed", ONE_EACH) as calm:
        before = await facts_of.effects(plan, calm.field, calm.workload.fields)
        await _undisturbed(calm.workload)
        reference = (await _outcome(calm, before, fence=0)).facts
    undisturbed = time.monotonic() - began
    calm_plan = Plan(plan.seed, plan.seconds, tuple(wish.calm for wish in plan.wishes), ())
    findings = [
        Finding(found.flaw, found.number, f"without any fault: {found.what}")
        for found in [*Audit(calm_plan, reference).findings(), *_without_effect(calm_plan, reference)]
    ]
    say(f"disturbed run, {plan.seconds:.0f} s")
    async with scene(plan, folder / "disturbed", HOW_MANY) as scene_:
        before = await facts_of.effects(plan, scene_.field, scene_.workload.fields)
        faults = Faults(scene_.platform)
        await _disturbed(plan, scene_.workload, faults)
        await scene_.platform.all_up()
        say("all faults are over; waiting for quiet")
        outcome = await _outcome(scene_, before, fence=fence)
        ended = scene_.platform.ended_by_themselves
    findings += Audit(plan, outcome.facts, reference).findings()
    return report.make(
        plan,
        outcome.facts,
        findings,
        faults=faults.done,
        notes=scene_.workload.notes,
        figures=scene_.client.figures,
        ended_by_themselves=ended,
        quiet_after=round(outcome.quiet_after, 1),
        workflows_closed_after=round(outcome.workflows_closed_after, 1),
        undisturbed_seconds=round(undisturbed, 1),
    )


@asynccontextmanager
async def scene(plan: Plan, folder: Path, many: Mapping[str, int]) -> AsyncIterator[Scene]:
    """Fresh servers, with all jobs of the plan made and none started."""
    async with (
        stack.running(folder, many) as platform,
        Database(platform.settings.database_url, size=4, name="chaos", check=True) as database,
    ):
        field = Field(database)
        person = await field.person("chaos@example.org", superuser=True)
        async with client_of(platform.apis, person.headers) as client:
            temporal = await connect(platform.settings)
            workload = Workload(plan, client, temporal, platform.settings.task_queue)
            await workload.prepare(field, Path(platform.settings.storage_roots))
            logger.info("%s: all jobs are made", folder.name)
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
    workload = scene.workload
    logger.info("waiting until all is over")
    quiet = await facts_of.jobs_end(scene.field, len(workload.plan.wishes), STUCK_AFTER)
    logger.info("all is over, after %.1f s", quiet)
    first = await facts_of.fingerprint(scene.field)
    closed, _ = await asyncio.gather(
        facts_of.workflows_end(scene.temporal, WORKFLOWS_END_AFTER), asyncio.sleep(fence)
    )
    last = await facts_of.fingerprint(scene.field)
    facts = Facts(
        jobs=await facts_of.jobs(scene.field, scene.client, scene.temporal),
        before=before,
        effects=await facts_of.effects(workload.plan, scene.field, workload.fields),
        failed=workload.notes.failed,
        clicked_by=workload.notes.clicked_by,
        odd_answers=scene.client.figures.odd,
        changed_late=[table for table in first if first[table] != last[table]],
    )
    return Outcome(facts, quiet, closed)


def _without_effect(plan: Plan, facts: Facts) -> list[Finding]:
    """Jobs whose effect cannot be seen: to compare it would prove nothing."""
    return [
        Finding(Flaw.WRONG, wish.number, "its effect cannot be told from what was there before")
        for wish in plan.wishes
        if wish.kind not in (Kind.BAD, Kind.CANCELLED_WAITING)
        and facts.effects[wish.number] == facts.before[wish.number]
    ]
