"""Runs workflows and activities until told to stop: `python worker.py`, or `nightjar worker`."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import uvloop
from temporalio.client import Client
from temporalio.worker import Worker

from activities.registry import activities
from activities.resources import Resources
from config import Settings
from db.connections import Database
from db.notifications import Notifications
from executions.schedule import ensure
from jobs.stages import JOBS_QUEUE
from temporal_client import connect
from workflows.registry import WORKFLOWS
from workflows.sandbox import runner

logger = logging.getLogger("nightjar.worker")

# what the SDK sends of heartbeats: often enough that progress and cancellation are a second old at most
HEARTBEAT_EVERY = timedelta(seconds=1)


def build_workers(settings: Settings, client: Client, resources: Resources) -> Sequence[Worker]:
    """One worker a task queue."""
    return [
        Worker(
            client,
            task_queue=f"{settings.task_queue}-{JOBS_QUEUE}",
            workflows=WORKFLOWS,
            activities=activities(resources),
            workflow_runner=runner(),
            max_concurrent_activities=settings.max_concurrent_activities,
            max_concurrent_local_activities=settings.max_concurrent_activities,
            max_heartbeat_throttle_interval=HEARTBEAT_EVERY,
            default_heartbeat_throttle_interval=HEARTBEAT_EVERY,
            graceful_shutdown_timeout=timedelta(seconds=settings.shutdown_grace),
        )
    ]


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[Sequence[Worker]]:
    """Workers that run while the block does; at its end they finish or hand over what is under way."""
    # an activity may hold two connections: its effect, and the timer that tells how far it is
    pool = max(settings.database_pool, 2 * settings.max_concurrent_activities)
    client = await connect(settings)
    async with Database(settings.database_url, size=pool, name="nightjar worker", check=True) as database:
        resources = Resources(database)
        workers = build_workers(settings, client, resources)
        notifications = Notifications(settings.database_url, "nightjar worker: news")
        news = asyncio.create_task(resources.watch.follow(notifications))
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


async def work(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; then finish or hand over what is under way within the grace period."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with working(settings) as workers:
        logger.info("working on %s", ", ".join(worker.task_queue for worker in workers))
        await stop.wait()
        logger.info("stopping")


def main() -> None:
    settings = Settings()
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
