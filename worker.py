"""Runs workflows and activities until told to stop: `python worker.py`, or `nightjar worker`."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

import uvloop
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.registry import activities
from activities.resources import Resources
from config import Settings
from db.connections import Database
from db.notifications import OF_A_WORKER, Notifications
from jobs.stages import JOBS_QUEUE, QUEUES
from storage.networks import Networks
from storage.stores import Stores
from temporal.connection import connect_once_reachable
from temporal.schedules import ensure
from workflows.registry import WORKFLOWS
from workflows.sandbox import runner

logger = logging.getLogger("nightjar.worker")

# what the SDK sends of heartbeats: often enough that progress and cancellation are a second old at most
HEARTBEAT_EVERY = timedelta(seconds=1)

PATIENCE = 5.0
"""Seconds for a connection to the database. The beats of a stage wait for it, and must come within ten."""
PAUSE = 5.0
"""Seconds before a worker that Temporal refused tries again."""

Out = TypeVar("Out")


def build_workers(settings: Settings, client: Client, resources: Resources) -> Sequence[Worker]:
    """One worker a kind of task queue; workflows are with the one of jobs."""
    return [
        Worker(
            client,
            task_queue=f"{settings.task_queue}-{kind}",
            workflows=WORKFLOWS if kind == JOBS_QUEUE else (),
            activities=activities(resources),
            workflow_runner=runner(),
            max_concurrent_activities=settings.max_concurrent_activities,
            max_concurrent_local_activities=settings.max_concurrent_activities,
            max_heartbeat_throttle_interval=HEARTBEAT_EVERY,
            default_heartbeat_throttle_interval=HEARTBEAT_EVERY,
            graceful_shutdown_timeout=timedelta(seconds=settings.shutdown_grace),
        )
        for kind in kinds(settings)
    ]


def kinds(settings: Settings) -> list[str]:
    """The kinds of task queues that this process serves; ends it where there is no such kind."""
    chosen = [kind.strip() for kind in settings.queues.split(",") if kind.strip()]
    unknown = sorted(set(chosen) - set(QUEUES))
    if unknown or not chosen:
        raise SystemExit(
            f"nightjar: NIGHTJAR_QUEUES takes {', '.join(QUEUES)}, not {', '.join(unknown) or 'nothing'}"
        )
    return chosen


@asynccontextmanager
async def working(settings: Settings, client: Client | None = None) -> AsyncIterator[Sequence[Worker]]:
    """Workers that run while the block does; at its end they finish or hand over what is under way.

    A database that is away is waited for by the activities themselves.
    """
    # an activity may hold two connections: its effect, and the timer that tells how far it is
    pool = max(settings.database_pool, 2 * settings.max_concurrent_activities * len(kinds(settings)))
    client = client or await connect_once_reachable(settings)
    async with Database(
        settings.database_url, size=pool, name="nightjar worker", patience=PATIENCE, check=True
    ) as database:
        stores = Stores(
            settings.storage_folders,
            networks=Networks(settings.networks),
            folders_for_all=settings.storage_folders_for == "managers",
        )
        resources = Resources(database, stores=stores)
        workers = build_workers(settings, client, resources)
        notifications = Notifications(settings.database_url, OF_A_WORKER)
        news = asyncio.create_task(resources.signals.follow(notifications))
        try:
            async with AsyncExitStack() as running:
                for worker in workers:
                    await running.enter_async_context(worker)
                if settings.sweep_every:
                    await ensure(client, settings.task_queue, timedelta(seconds=settings.sweep_every))
                yield workers
        finally:
            news.cancel()
            await asyncio.gather(news, return_exceptions=True)
            await stores.close()


async def work(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; then finish or hand over what is under way within the grace period.

    While Temporal is away, wait until it is back.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    while (client := await _unless(stop, connect_once_reachable(settings))) is not None:
        try:
            async with working(settings, client) as workers:
                logger.info("working on %s", ", ".join(worker.task_queue for worker in workers))
                await stop.wait()
                logger.info("stopping")
                return
        except (RuntimeError, RPCError) as error:
            # Temporal answered a moment ago, and went away or refused the worker
            logger.error("cannot work: %s; trying again in %.0f s", error, PAUSE)
        await _unless(stop, asyncio.sleep(PAUSE))


async def _unless(stop: asyncio.Event, coming: Coroutine[Any, Any, Out]) -> Out | None:
    """What comes, unless told to stop before it does."""
    arriving, told = asyncio.create_task(coming), asyncio.create_task(stop.wait())
    await asyncio.wait((arriving, told), return_when=asyncio.FIRST_COMPLETED)
    if told.done():
        arriving.cancel()
        await asyncio.wait((arriving,))
        return None
    told.cancel()
    return arriving.result()


def main(settings: Settings | None = None) -> None:
    """Work by those settings; they are read from the environment if none are given."""
    settings = settings or Settings()
    logging.basicConfig(
        level=settings.log_level,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    # what was loaded by now stays for good: the collector need not look at it again
    gc.freeze()
    uvloop.run(work(settings))


if __name__ == "__main__":
    main()
