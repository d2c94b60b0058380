"""How soon a job that is cancelled is REVOKED, and a killed worker's job goes on: `python -m benchmarks.cancelling`."""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

import httpx2
from psycopg import AsyncConnection

from benchmarks.harness import (
    System,
    endings,
    field_of,
    milliseconds,
    options,
    quantile,
    run,
    system,
    title,
    verdict,
)
from db.connections import driver_address
from tests.field import Field
from tests.waiting import job_in, make_job
from tests.workflows.test_runs import POPULATE, under_way

Prepare = Callable[[], Awaitable[int]]
"""Makes a job and waits until it is where it is to be cancelled; gives its id."""


async def measure(times: int, kills: int) -> None:
    with system() as running:
        async with field_of(running) as made, endings(running.database_url) as ended:
            project_id, set_id = await made.small_set()
            person = await made.person("canceller@example.org", superuser=True)
            async with httpx2.AsyncClient(
                base_url=f"{running.address}/api/v2", headers=person.headers, timeout=30
            ) as client:

                async def cancelled(prepare: Prepare) -> float:
                    job_id = await prepare()
                    await asyncio.sleep(random.uniform(0, 0.3))
                    began = time.perf_counter()
                    await client.post(f"/jobs/{job_id}/cancel/")
                    status = await ended.of(job_id)
                    took = time.perf_counter() - began
                    if status != "REVOKED":
                        raise RuntimeError(f"job {job_id} ended {status}")
                    return took

                async def delaying() -> int:
                    job = await make_job(client, project_id, set_id, delay=300)
                    await under_way(client, job["id"], "delay")
                    return int(job["id"])

                async def working() -> int:
                    job = await make_job(client, project_id, set_id)
                    await under_way(client, job["id"], POPULATE)
                    return int(job["id"])

                async def waiting() -> int:
                    return int((await make_job(client, project_id, set_id))["id"])

                title(f"from the request to REVOKED, {times} times each")
                show("in the delay", [await cancelled(delaying) for _ in range(times)])
                async with await AsyncConnection.connect(driver_address(running.database_url)) as holding:
                    await holding.execute(
                        "SELECT 1 FROM source_image_collections WHERE id = %s FOR NO KEY UPDATE", (set_id,)
                    )
                    show("in its work", [await cancelled(working) for _ in range(times)])
                await kill_workers(running, client, made, kills)
                jobs = [await delaying() for _ in range(times)]
                running.worker.kill()

                async def orphaned() -> int:
                    return jobs.pop()

                show("no worker alive", [await cancelled(orphaned) for _ in range(times)])
                show("waiting for a worker", [await cancelled(waiting) for _ in range(times)])


async def kill_workers(running: System, client: httpx2.AsyncClient, made: Field, kills: int) -> None:
    """Kill the worker in the middle of a stage and start another at once: until the job is done."""
    title(f"kill -9 of the worker in the middle of a stage, until SUCCESS by the next, {kills} times")
    took = []
    for _ in range(kills):
        project_id, set_id = await made.small_set()
        async with await AsyncConnection.connect(driver_address(running.database_url)) as holding:
            await holding.execute(
                "SELECT 1 FROM source_image_collections WHERE id = %s FOR NO KEY UPDATE", (set_id,)
            )
            job = await make_job(client, project_id, set_id)
            await under_way(client, job["id"], POPULATE)
            running.worker.kill()
            began = time.perf_counter()
            running.worker.start()
        await job_in(client, job["id"], "SUCCESS", seconds=120)
        took.append(time.perf_counter() - began)
    print(f"{'recovery':22} p50 {statistics.median(took):.1f} s, p95 {quantile(took, 0.95):.1f} s")


def show(name: str, seconds: Sequence[float]) -> None:
    print(f"{name:22} {milliseconds(seconds)}, p99 {quantile(seconds, 0.99) * 1000:.1f} ms", flush=True)
    verdict(f"cancel {name} p95", quantile(seconds, 0.95), 1.0, unit=" s")


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--kills", type=int, default=5)
    given = parser.parse_args()
    run(measure(given.times, given.kills))


if __name__ == "__main__":
    main()
