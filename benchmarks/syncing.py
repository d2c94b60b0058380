"""Syncing a station beside bare listing and bare COPY of the same objects: `python -m benchmarks.syncing`."""

import asyncio
import contextlib
import gc
import json
import socket
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
import obstore
import psycopg

from benchmarks.harness import (
    Endings,
    Summary,
    System,
    endings,
    execute,
    field_of,
    forget_peak,
    memory,
    options,
    run,
    spent,
    superuser,
    system,
    title,
    verdict,
)
from db.connections import driver_address
from embedded.ports import LOOPBACK, free_port
from monitoring.file_names import taken_at
from storage.buckets import pages, store_of
from storage.places import folder
from storage.sources import PAGE, Source
from tests.fake_s3 import PREFIX, made_up, picture
from tests.field import Field
from tests.object_store import s3_server
from workflows.data_storage_sync import SYNC

SMALL_ROUNDS = 5
UPLOADS_AT_ONCE = 64

COPY = """
COPY source_images (project_id, deployment_id, path, size, last_modified, checksum, timestamp) FROM STDIN
"""
# what a table is like some time after it was filled; a checkpoint makes all sides write the same
TIDY = ("VACUUM ANALYZE source_images", "CHECKPOINT")
EMPTY = ("TRUNCATE source_images CASCADE", *TIDY)
# the first stage from the worker's clock when it had just taken it, the others from the end of the one before; to
# PostgreSQL's clock when the last transaction wrote that the stage is over. Both are clocks of this machine
STAGES = """
SELECT s.key, extract(epoch FROM s.updated_at - coalesce(lag(s.updated_at) OVER (ORDER BY s.position), (
    SELECT min(l.created_at) FROM job_logs l
    WHERE l.job_id = s.job_id AND l.message LIKE 'Syncing captures for deployment%%'
))) AS seconds
FROM job_stages s WHERE s.job_id = %(job_id)s
"""
ELSEWHERE = """
UPDATE storage_sources s SET endpoint_url = %(address)s FROM deployments d
WHERE d.id = %(station)s AND s.id = d.data_source_id
"""


@dataclass(frozen=True)
class Sync:
    """What one sync took, in seconds; the worker's memory in MB."""

    job: float
    """From POST to SUCCESS."""
    stages: Mapping[str, float]
    peak: float
    cpu: Mapping[str, float]

    @property
    def stage(self) -> float:
        """The stage that lists."""
        return self.stages[SYNC.key]


@dataclass
class Rounds:
    """What the rounds came to."""

    listing: list[float] = field(default_factory=list)
    copy: list[float] = field(default_factory=list)
    first: list[Sync] = field(default_factory=list)
    again: list[Sync] = field(default_factory=list)

    def first_ratios(self) -> list[float]:
        sides = zip(self.first, self.listing, self.copy, strict=True)
        return [sync.stage / (listing + copy) for sync, listing, copy in sides]

    def again_ratios(self) -> list[float]:
        return [sync.stage / listing for sync, listing in zip(self.again, self.listing, strict=True)]


@dataclass(frozen=True)
class Syncing:
    """Asks for syncs, and measures them."""

    running: System
    made: Field
    client: httpx2.AsyncClient
    ended: Endings
    project_id: int

    async def station(self, source: Source) -> int:
        """A new one, whose captures lie there."""
        source_id = await self.made.row(
            "storage_sources", name="Bucket", project_id=self.project_id, **vars(source)
        )
        return await self.made.row(
            "deployments", name="Station", project_id=self.project_id, data_source_id=source_id
        )

    async def sync(self, station_id: int) -> Sync:
        """Sync a station, and wait for the end of the job."""
        worker, without = self.running.worker.pid, self.ended.backends
        forget_peak(worker)
        before = self.running.cpu(without)
        began = time.perf_counter()
        answer = await self.client.post(f"/deployments/{station_id}/sync/")
        job_id: int = answer.raise_for_status().json()["job_id"]
        status = await self.ended.of(job_id)
        seconds = time.perf_counter() - began
        if status != "SUCCESS":
            raise RuntimeError(f"job {job_id} ended {status}")
        cpu = spent(before, self.running.cpu(without))
        rows = await self.made.read(STAGES, job_id=job_id)
        stages = {row["key"]: float(row["seconds"]) for row in rows}
        return Sync(seconds, stages, memory(worker, "VmHWM"), cpu)


@contextlib.asynccontextmanager
async def syncing(running: System) -> AsyncIterator[Syncing]:
    async with field_of(running) as made, endings(running.database_url) as ended:
        person = await superuser(made)
        async with httpx2.AsyncClient(
            base_url=f"{running.address}/api/v2", headers=person.headers, timeout=60
        ) as client:
            yield Syncing(running, made, client, ended, await made.project("Large"))


@contextlib.contextmanager
def fake_store(running: System, objects: int, latency: float = 0.0) -> Iterator[Source]:
    """A store in a process of its own that lists from memory; `latency` are the milliseconds that a page takes."""
    name, port = "store", free_port()
    child = running.start(
        name, "-m", "tests.fake_s3", *f"--objects {objects} --port {port} --latency {latency}".split()
    )
    child.wait_until(lambda: _listens(port), seconds=120)
    try:
        yield Source(
            "moths",
            PREFIX,
            access_key="a",
            secret_key="b",
            endpoint_url=f"http://{LOOPBACK}:{port}",
            trusted=True,
        )
    finally:
        child.stop()
        del running.others[name]


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


# the bare sides -----------------------------------------------------------------------------------------------


async def bare_listing(source: Source) -> float:
    """Seconds until all objects have been listed in a process like ours, and nothing was done with them."""
    began = time.perf_counter()
    async for _ in obstore.list(store_of(source), prefix=folder(source.prefix), chunk_size=PAGE):
        pass
    return time.perf_counter() - began


def bare_copy(url: str, rows: Sequence[tuple[Any, ...]]) -> float:
    """Seconds until captures are in their table, written as fast as the driver does."""
    began = time.perf_counter()
    with psycopg.connect(driver_address(url)) as connection, connection.cursor() as cursor:
        with cursor.copy(COPY) as copy:
            for row in rows:
                copy.write_row(row)
        connection.commit()
        return time.perf_counter() - began


async def rows_of(source: Source, project_id: int, station_id: int) -> list[tuple[Any, ...]]:
    """What is copied: a capture for each object."""
    rows = [
        (
            project_id,
            station_id,
            each.key,
            each.size,
            each.last_modified,
            each.etag,
            taken_at(each.key),
        )
        async for page in pages(source)
        for each in page.objects
    ]
    # the collector need not go through them while they are written
    gc.freeze()
    return rows


# what is measured ---------------------------------------------------------------------------------------------


async def measure(objects: int, small: int, real: int, rounds: int, latency: float) -> None:
    with system() as running:
        async with syncing(running) as syncs:
            peak = await _small(syncs, small)
            await _large(syncs, objects, rounds, latency, peak)
            await _real(syncs, real, rounds)


async def _small(syncs: Syncing, objects: int) -> float:
    """Whole jobs, each with a station of its own; gives the worker's peak."""
    first, again = [], []
    with fake_store(syncs.running, objects) as source:
        await syncs.sync(await syncs.station(source))
        idle = memory(syncs.running.worker.pid)
        title(f"{objects:,} objects of a store in memory, {SMALL_ROUNDS} rounds")
        for _ in range(SMALL_ROUNDS):
            station_id = await syncs.station(source)
            first.append(await syncs.sync(station_id))
            again.append(await syncs.sync(station_id))
    for name, found, most in (("first sync", first, 2.0), ("nothing new", again, 1.0)):
        _tell_syncs(name, found)
        if objects == 20_000:
            verdict(f"whole job, {name}", statistics.median(each.job for each in found), most, unit=" s")
    peak = max(each.peak for each in (*first, *again))
    print(f"worker: idle {idle:.0f} MB, peak {peak:.0f} MB")
    return peak


async def _large(syncs: Syncing, objects: int, rounds: int, latency: float, small_peak: float) -> None:
    idle = memory(syncs.running.worker.pid)
    with fake_store(syncs.running, objects) as source:
        title(f"{objects:,} objects of a store in memory, {rounds} rounds")
        found, station_id = await _rounds(syncs, source, rounds)
    _tell(found, "0 ms a page")
    peaks = [max(each.peak for each in side) for side in (found.first, found.again)]
    print(f"worker: idle {idle:.0f} MB, peak {peaks[0]:.0f} MB in the first sync, {peaks[1]:.0f} MB again")
    verdict("growth of the worker over small syncs", max(peaks) - small_peak, 20, unit=" MB")
    with fake_store(syncs.running, objects, latency) as source:
        title(f"the same with nothing new, where each page takes {latency:g} ms")
        _tell_again(await _again(syncs, source, station_id, rounds), f"{latency:g} ms a page")


async def _real(syncs: Syncing, objects: int, rounds: int) -> None:
    files = syncs.running.folder / "seaweedfs"
    files.mkdir()
    with s3_server(files) as whole:
        source = replace(whole, prefix=PREFIX)
        title(f"{objects:,} objects in SeaweedFS, {rounds} rounds")
        began = time.perf_counter()
        await fill(source, objects)
        print(f"uploaded in {time.perf_counter() - began:.0f} s")
        found, _ = await _rounds(syncs, source, rounds)
    _tell(found, "SeaweedFS")


async def fill(source: Source, objects: int) -> None:
    """Put so many tiny pictures into a store, many at once."""
    left = made_up(objects)

    async def put() -> None:
        for each in left:
            await obstore.put_async(store_of(source), each.key, picture())

    await asyncio.gather(*(put() for _ in range(UPLOADS_AT_ONCE)))


async def _rounds(syncs: Syncing, source: Source, rounds: int) -> tuple[Rounds, int]:
    """Bare listing, bare COPY, a first sync, and another with nothing new; gives the last station too."""
    url, found = syncs.running.database_url, Rounds()
    rows = await rows_of(source, syncs.project_id, await syncs.station(source))
    station_id = 0
    for _ in range(rounds):
        execute(url, *EMPTY)
        found.listing.append(await bare_listing(source))
        found.copy.append(bare_copy(url, rows))
        execute(url, *EMPTY)
        station_id = await syncs.station(source)
        found.first.append(await syncs.sync(station_id))
        execute(url, *TIDY)
        found.again.append(await syncs.sync(station_id))
        first, again = found.first[-1], found.again[-1]
        print(
            f"bare listing {found.listing[-1]:.2f} s, bare COPY {found.copy[-1]:.2f} s;"
            f" sync {first.stage:.2f} s of a job of {first.job:.2f} s;"
            f" again {again.stage:.2f} s of {again.job:.2f} s",
            flush=True,
        )
    return found, station_id


async def _again(syncs: Syncing, source: Source, station_id: int, rounds: int) -> Rounds:
    """Bare listing, and a sync with nothing new of a station that was filled from another store of the same objects."""
    url, found = syncs.running.database_url, Rounds()
    execute(url, ELSEWHERE, values={"station": station_id, "address": source.endpoint_url})
    for _ in range(rounds):
        found.listing.append(await bare_listing(source))
        execute(url, *TIDY)
        again = await syncs.sync(station_id)
        found.again.append(again)
        print(
            f"bare listing {found.listing[-1]:.2f} s; again {again.stage:.2f} s of {again.job:.2f} s",
            flush=True,
        )
    return found


def _tell(found: Rounds, store: str) -> None:
    print(f"bare listing {Summary.of(found.listing).text(2, ' s')}")
    print(f"bare COPY {Summary.of(found.copy).text(2, ' s')}")
    _tell_syncs("first sync", found.first)
    ratios = Summary.of(found.first_ratios())
    print(f"  sync / (listing + COPY), {store}: {ratios.text()}")
    verdict(f"first sync / (listing + COPY), {store}", ratios.median, 1.5)
    _tell_again(found, store)


def _tell_again(found: Rounds, store: str) -> None:
    _tell_syncs("nothing new", found.again)
    ratios = Summary.of(found.again_ratios())
    print(f"  sync / listing, {store}: {ratios.text()}")
    verdict(f"nothing new / listing, {store}", ratios.median, 1.3)


def _tell_syncs(name: str, syncs: Sequence[Sync]) -> None:
    """Times and CPU time of whole jobs."""
    print(f"{name}: whole job {Summary.of([each.job for each in syncs]).text(2, ' s')}")
    for stage in syncs[0].stages:
        print(f"  {stage:17} {Summary.of([each.stages[stage] for each in syncs]).text(2, ' s')}")
    cpu = {process: statistics.median(each.cpu[process] for each in syncs) for process in syncs[0].cpu}
    parts = ", ".join(f"{process} {seconds:.2f}" for process, seconds in cpu.items() if seconds >= 0.005)
    print(f"  CPU seconds {sum(cpu.values()):.2f}: {parts}")


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--objects", type=int, default=1_000_000, help="of the large store in memory")
    parser.add_argument("--small", type=int, default=20_000, help="objects of the small one")
    parser.add_argument("--real", type=int, default=50_000, help="objects in SeaweedFS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=15.0, help="milliseconds a page of a distant store")
    given = parser.parse_args()
    print(json.dumps(vars(given)))
    run(measure(**vars(given)))


if __name__ == "__main__":
    main()
