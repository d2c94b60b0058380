"""What open windows of the page cost: list, job, user and menu every ten seconds: `python -m benchmarks.polling`.

Each window asks as fast as it is answered here, which tells how many windows at rest a server bears: ten seconds'
worth of its requests is one window.
"""

import asyncio
import time

import httpx2

from benchmarks.harness import (
    Summary,
    System,
    cpu_seconds,
    execute,
    field_of,
    milliseconds,
    options,
    run,
    superuser,
    system,
    title,
)
from benchmarks.reading_lists import (
    CAPTURES,
    COUNTS,
    JOBS,
    PLACES,
    SESSION_COUNTS,
    SESSIONS,
    SETS,
    STAGES,
    STATIONS,
)

CLIENTS = (1, 16)


async def _window(
    address: str, headers: dict[str, str], until: float, *, tagged: bool, addresses: list[str]
) -> tuple[int, int, list[float]]:
    """Polls until then; gives the requests, those answered 304, and the times."""
    tags: dict[str, str] = {}
    hits, times = 0, []
    async with httpx2.AsyncClient(base_url=address, headers=headers, timeout=60) as http:
        while time.perf_counter() < until:
            for path in addresses:
                known = {"If-None-Match": tags[path]} if tagged and path in tags else {}
                began = time.perf_counter()
                response = await http.get(path, headers=known)
                times.append(time.perf_counter() - began)
                if response.status_code == 304:
                    hits += 1
                elif response.status_code == 200:
                    tags[path] = response.headers["etag"]
                else:
                    raise RuntimeError(f"{path}: {response.status_code} {response.text}")
    return len(times), hits, times


async def _round(
    running: System, headers: dict[str, str], clients: int, seconds: float, *, tagged: bool
) -> float:
    addresses = ["/api/v2/users/me/", "/api/v2/jobs/?project_id=1&ordering=-created_at&limit=20&offset=0"]
    addresses += ["/api/v2/jobs/7/", "/api/v2/status/summary/?project_id=1"]
    api = running.api.pid
    before, began = cpu_seconds(api), time.perf_counter()
    done = await asyncio.gather(
        *(
            _window(running.address, headers, began + seconds, tagged=tagged, addresses=addresses)
            for _ in range(clients)
        )
    )
    passed = time.perf_counter() - began
    total, hits = sum(each[0] for each in done), sum(each[1] for each in done)
    cpu = (cpu_seconds(api) - before) / total * 1000
    times = [taken for each in done for taken in each[2]]
    print(
        f"{clients:2} clients, ETags {'sent' if tagged else 'not sent'}: {total / passed:7.1f} requests/s, "
        f"{milliseconds(times)}, {hits / total:4.0%} answered 304, API {cpu:.2f} ms CPU a request"
    )
    return total / passed


async def measure(jobs: int, captures: int, seconds: float, rounds: int) -> None:
    with system() as running:
        values = {"jobs": jobs, "captures": captures, "stations": 100}
        statements = (PLACES, STATIONS, SESSIONS, CAPTURES, COUNTS, SESSION_COUNTS, SETS, JOBS, STAGES)
        execute(running.database_url, *statements, values=values)
        execute(running.database_url, "VACUUM ANALYZE", "CHECKPOINT")
        async with field_of(running) as made:
            person = await superuser(made)
        title(f"{jobs:,} jobs, {captures:,} captures; rounds of {seconds:g} s, in turn")
        ratios: dict[int, list[float]] = {clients: [] for clients in CLIENTS}
        for _ in range(rounds):
            for clients in CLIENTS:
                plain = await _round(running, person.headers, clients, seconds, tagged=False)
                tagged = await _round(running, person.headers, clients, seconds, tagged=True)
                ratios[clients].append(tagged / plain)
        for clients, found in ratios.items():
            print(f"{clients:2} clients: requests/s with ETags against without: {Summary.of(found).text()}")


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--captures", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    run(measure(given.jobs, given.captures, given.seconds, given.rounds))


if __name__ == "__main__":
    main()
