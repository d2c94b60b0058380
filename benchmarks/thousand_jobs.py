"""A thousand jobs asked for at once, beside as many bare workflows: `python -m benchmarks.thousand_jobs`."""

import asyncio
import time
import uuid

import httpx2
from temporalio.client import Client as Temporal

from benchmarks.bare_workflow import QUEUE, BareWorkflow
from benchmarks.harness import Summary, System, endings, field_of, options, run, system, title, verdict
from tests.waiting import make_job


async def compare(rounds: int, jobs: int, clients: int) -> None:
    with system() as running:
        running.start("bare worker", "-m", "benchmarks.bare_worker")
        temporal = await Temporal.connect(running.temporal_address)
        title(f"{jobs} at once by {clients} clients, {rounds} rounds")
        ratios = []
        for _ in range(rounds):
            asked, done = await of_jobs(running, jobs, clients)
            started, bare = await of_bare_workflows(temporal, jobs, clients)
            print(
                f"jobs            asked for in {asked:.1f} s ({jobs / asked:.0f}/s), all SUCCESS in {done:.1f} s"
            )
            print(
                f"bare workflows  started in {started:.1f} s ({jobs / started:.0f}/s), all done in {bare:.1f} s"
            )
            ratios.append(done / bare)
        print(f"jobs / bare     {Summary.of(ratios).text()}")
        verdict("time until all are done, jobs / bare", Summary.of(ratios).median, 2.0)


async def of_jobs(running: System, jobs: int, clients: int) -> tuple[float, float]:
    """Seconds until all were asked for, and until all were SUCCESS."""
    async with field_of(running) as made, endings(running.database_url) as ended:
        places = [await made.small_set() for _ in range(clients)]
        person = await made.person(f"{uuid.uuid4()}@example.org", superuser=True)
        ids: list[int] = []
        left = iter(range(jobs))

        async def ask(number: int) -> None:
            async with httpx2.AsyncClient(
                base_url=f"{running.address}/api/v2", headers=person.headers, timeout=60
            ) as client:
                for _ in left:
                    ids.append((await make_job(client, *places[number]))["id"])

        began = time.perf_counter()
        await asyncio.gather(*(ask(number) for number in range(clients)))
        asked = time.perf_counter() - began
        ends = [await ended.of(job_id) for job_id in ids]
        if set(ends) != {"SUCCESS"}:
            raise RuntimeError(f"not all succeeded: {set(ends)}")
        return asked, time.perf_counter() - began


async def of_bare_workflows(temporal: Temporal, jobs: int, clients: int) -> tuple[float, float]:
    """Seconds until all were started, and until all were done."""
    left = iter(range(jobs))
    handles = []

    async def start() -> None:
        for _ in left:
            handles.append(
                await temporal.start_workflow(BareWorkflow.run, id=f"bare-{uuid.uuid4()}", task_queue=QUEUE)
            )

    began = time.perf_counter()
    await asyncio.gather(*(start() for _ in range(clients)))
    started = time.perf_counter() - began
    for handle in handles:
        await handle.result()
    return started, time.perf_counter() - began


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=16)
    given = parser.parse_args()
    run(compare(given.rounds, given.jobs, given.clients))


if __name__ == "__main__":
    main()
