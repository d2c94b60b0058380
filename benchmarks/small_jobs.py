"""What a small job costs beside a bare Temporal workflow: `python -m benchmarks.small_jobs`."""

import asyncio
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from temporalio.client import Client as Temporal

from benchmarks.bare_workflow import QUEUE, BareWorkflow
from benchmarks.harness import (
    Client,
    Summary,
    System,
    client_of,
    field_of,
    milliseconds,
    options,
    run,
    spent,
    system,
    title,
    verdict,
)

SETTLE = 0.5
"""Seconds after which Temporal has written what follows the end of a workflow."""


@dataclass
class Sides:
    """The two things compared, each as something to be done once."""

    job: Callable[[int], Awaitable[None]]
    bare: Callable[[int], Awaitable[None]]
    posts: list[float] = field(default_factory=list)
    successes: list[float] = field(default_factory=list)
    bares: list[float] = field(default_factory=list)


async def compare(rounds: int, pairs: int, jobs: int, clients: int) -> None:
    with system() as running:
        running.start("bare worker", "-m", "benchmarks.bare_worker")
        temporal = await Temporal.connect(running.temporal_address)
        async with client_of(running) as client, field_of(running) as made:
            # a client fills a set of its own: two jobs on one set wait for each other, as they should
            places = [await made.small_set() for _ in range(clients)]
            sides = _sides(client, temporal, places)
            await many(sides.job, 10 * clients, clients)
            await many(sides.bare, 10 * clients, clients)
            await one_after_another(sides, rounds, pairs)
            await at_once(running, client, sides, rounds, jobs, clients)


def _sides(client: Client, temporal: Temporal, places: list[tuple[int, int]]) -> Sides:
    async def job(number: int) -> None:
        timed = await client.populate(*places[number])
        sides.posts.append(timed.post)
        sides.successes.append(timed.success)

    async def bare(_: int) -> None:
        began = time.perf_counter()
        await temporal.execute_workflow(BareWorkflow.run, id=f"bare-{uuid.uuid4()}", task_queue=QUEUE)
        sides.bares.append(time.perf_counter() - began)

    sides = Sides(job, bare)
    return sides


async def one_after_another(sides: Sides, rounds: int, pairs: int) -> None:
    """One client, a job and a bare workflow in turn."""
    title(
        f"one client, one after another: {rounds} rounds of {pairs} jobs and {pairs} bare workflows in turn"
    )
    posts: list[float] = []
    successes: list[float] = []
    bares: list[float] = []
    ratios = []
    for _ in range(rounds):
        _forget(sides)
        for _ in range(pairs):
            await sides.job(0)
            await asyncio.sleep(0.02)
            await sides.bare(0)
            await asyncio.sleep(0.02)
        ratios.append(statistics.median(sides.successes) / statistics.median(sides.bares))
        posts += sides.posts
        successes += sides.successes
        bares += sides.bares
    print(f"POST               {milliseconds(posts)}")
    print(f"POST to SUCCESS    {milliseconds(successes)}")
    print(f"bare workflow      {milliseconds(bares)}")
    print(f"SUCCESS / bare     {Summary.of(ratios).text()}")
    verdict("POST p50", statistics.median(posts) * 1000, 15, unit=" ms")
    verdict("POST to SUCCESS p50", statistics.median(successes) * 1000, 100, unit=" ms")
    verdict("SUCCESS / bare workflow", statistics.median(ratios), 1.5)


async def at_once(
    running: System, client: Client, sides: Sides, rounds: int, jobs: int, clients: int
) -> None:
    """Several clients, each of which waits for the end of its job before it makes the next."""
    title(f"{clients} clients at once: {rounds} rounds of {jobs} jobs, then {jobs} bare workflows")
    rates: dict[str, list[float]] = {"jobs": [], "bare workflows": []}
    costs: dict[str, dict[str, list[float]]] = {"jobs": {}, "bare workflows": {}}
    _forget(sides)
    for _ in range(rounds):
        for name, once in (("jobs", sides.job), ("bare workflows", sides.bare)):
            before = running.cpu(without=client.ended.backends)
            began = time.perf_counter()
            await many(once, jobs, clients)
            rates[name].append(jobs / (time.perf_counter() - began))
            await asyncio.sleep(SETTLE)
            after = running.cpu(without=client.ended.backends)
            for process, seconds in spent(before, after).items():
                costs[name].setdefault(process, []).append(seconds / jobs * 1000)
    ratios = [job / bare for job, bare in zip(rates["jobs"], rates["bare workflows"], strict=True)]
    print(f"POST               {milliseconds(sides.posts)}")
    print(f"POST to SUCCESS    {milliseconds(sides.successes)}")
    print(f"bare workflow      {milliseconds(sides.bares)}")
    for name, rate in rates.items():
        print(f"{name:18} {Summary.of(rate).text(1, '/s')}")
        each = {process: statistics.median(cost) for process, cost in costs[name].items()}
        parts = ", ".join(f"{process} {cost:.1f}" for process, cost in each.items() if cost >= 0.05)
        print(f"  CPU ms each      {sum(each.values()):.1f}: {parts}")
    total = statistics.median(map(sum, zip(*costs["jobs"].values(), strict=True)))
    print(f"jobs / bare        {Summary.of(ratios).text()}")
    verdict("jobs / bare workflows", statistics.median(ratios), 0.7, most=False)
    verdict("CPU of a job", total, 80, unit=" ms")


async def many(once: Callable[[int], Awaitable[None]], times: int, clients: int) -> None:
    """Do it so many times, by so many clients at once."""
    left = iter(range(times))

    async def one_client(number: int) -> None:
        for _ in left:
            await once(number)

    await asyncio.gather(*(one_client(number) for number in range(clients)))


def _forget(sides: Sides) -> None:
    sides.posts.clear()
    sides.successes.clear()
    sides.bares.clear()


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pairs", type=int, default=20, help="jobs a round, one after another")
    parser.add_argument("--jobs", type=int, default=120, help="jobs a round, by clients at once")
    parser.add_argument("--clients", type=int, default=8)
    given = parser.parse_args()
    run(compare(given.rounds, given.pairs, given.jobs, given.clients))


if __name__ == "__main__":
    main()
