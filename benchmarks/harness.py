"""What the benchmarks share: servers, API and worker as child processes, their CPU time, jobs, statistics."""

import argparse
import asyncio
import contextlib
import math
import os
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psycopg
import uvloop
from psycopg import AsyncConnection

from db import schema
from db.connections import Database, driver_address
from db.notifications import Change
from embedded.child import Child
from embedded.ports import LOOPBACK, free_port
from embedded.stack import Stack, stack
from jobs.search_attributes import TYPE_NAMES
from jobs.status import FINAL
from tests.field import Field, Person

ROOT = Path(__file__).parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
LONGEST_WAIT = 300.0


# statistics ---------------------------------------------------------------------------------------------------


def quantile(values: Sequence[float], fraction: float) -> float:
    """The value below which that part of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


@dataclass(frozen=True)
class Summary:
    """What many measurements come to."""

    median: float
    p95: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Summary":
        return cls(statistics.median(values), quantile(values, 0.95), min(values), max(values))

    def text(self, digits: int = 2, unit: str = "") -> str:
        """The median, and what the rounds spread over."""
        return f"{self.median:.{digits}f}{unit} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def milliseconds(seconds: Sequence[float]) -> str:
    """p50 and p95 of times."""
    return f"p50 {statistics.median(seconds) * 1000:.1f} ms, p95 {quantile(seconds, 0.95) * 1000:.1f} ms"


def verdict(name: str, value: float, target: float, *, most: bool = True, unit: str = "") -> None:
    """Print whether a target is met; `most` says that less is better."""
    met = value <= target if most else value >= target
    bound = "at most" if most else "at least"
    print(f"  {'ok    ' if met else 'MISSED'} {name}: {value:.3g}{unit} ({bound} {target:g}{unit})")


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


# processes ----------------------------------------------------------------------------------------------------


def _children() -> dict[int, list[int]]:
    """The processes of this machine by their parent."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                found.setdefault(int(fields[1]), []).append(int(entry.name))
    return found


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    children, found, waiting = _children(), [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        waiting += children.get(current, [])
    return found


def cpu_seconds(pid: int, without: Sequence[int] = ()) -> float:
    """CPU time that a process and all below it have used, those that have ended included."""
    ticks = 0
    for each in tree(pid):
        if each not in without:
            with contextlib.suppress(OSError):
                # user and system time, then those of the children that it has waited for
                fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(int(part) for part in fields[11:15])
    return ticks / TICKS


def memory(pid: int, name: str = "VmRSS") -> float:
    """A figure of a process's memory (VmRSS: now, VmHWM: the peak), in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(name)


def forget_peak(pid: int) -> None:
    """Start VmHWM over, from what the process holds now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


@dataclass
class System:
    """Everything that runs: both servers, the API and a worker."""

    folder: Path
    servers: Stack
    api: Child
    worker: Child
    address: str
    environment: Mapping[str, str]
    others: dict[str, Child] = field(default_factory=dict)

    @property
    def database_url(self) -> str:
        return self.servers.postgres.url()

    @property
    def temporal_address(self) -> str:
        return self.servers.temporal.address

    def start(self, name: str, *arguments: str) -> Child:
        """A further Python process beside the others, stopped with them."""
        child = self._child(name, *arguments)
        child.start()
        self.others[name] = child
        return child

    def _child(self, name: str, *arguments: str) -> Child:
        log = self.folder / "logs" / f"{name}.log"
        return Child(name, [sys.executable, *arguments], log, self.environment)

    def cpu(self, without: Sequence[int] = ()) -> dict[str, float]:
        """CPU seconds so far by process; `without` those of a benchmark's own connections."""
        assert self.servers.temporal.child is not None
        assert self.servers.postgres.child is not None
        pids = {
            "temporal": self.servers.temporal.child.pid,
            "postgres": self.servers.postgres.child.pid,
            "api": self.api.pid,
            "worker": self.worker.pid,
            **{name: child.pid for name, child in self.others.items()},
        }
        return {name: cpu_seconds(pid, without) for name, pid in pids.items()}


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds by process between two looks."""
    return {name: after[name] - before.get(name, 0.0) for name in after}


@contextlib.contextmanager
def system() -> Iterator[System]:
    """Servers, API and worker in a temporary folder, on free ports, with an empty database."""
    # settings of the shell must not reach the processes
    for name in [name for name in os.environ if name.startswith("NIGHTJAR_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="nightjar-benchmark-") as name:
        folder = Path(name)
        servers = stack(folder, TYPE_NAMES)
        running: list[Child] = []
        try:
            servers.start(usual_ports=False)
            schema.create_database(servers.postgres.url())
            schema.migrate(servers.postgres.url())
            made = _system(folder, servers)
            for child in (made.api, made.worker):
                running.append(child)
                child.start()
            made.api.wait_until(lambda: _answers(f"{made.address}/livez"), seconds=60)
            made.worker.wait_until(lambda: "working on" in made.worker.log.read_text(), seconds=60)
            try:
                yield made
            finally:
                running += made.others.values()
        finally:
            for child in reversed(running):
                child.stop()
            servers.stop()


def _system(folder: Path, servers: Stack) -> System:
    port = free_port()
    environment = {
        "PYTHONPATH": str(ROOT),
        "NIGHTJAR_DATA_DIR": str(folder),
        "NIGHTJAR_DATABASE_URL": servers.postgres.url(),
        "NIGHTJAR_TEMPORAL_ADDRESS": servers.temporal.address,
        "NIGHTJAR_API_PORT": str(port),
    }
    serve = ["-m", "uvicorn", "--factory", "api.app:create_app", "--host", LOOPBACK, "--port", str(port)]
    logs = folder / "logs"
    return System(
        folder=folder,
        servers=servers,
        api=Child(
            "api",
            [sys.executable, *serve, "--no-access-log", "--log-level", "warning"],
            logs / "api.log",
            environment,
        ),
        worker=Child("worker", [sys.executable, str(ROOT / "worker.py")], logs / "worker.log", environment),
        address=f"http://{LOOPBACK}:{port}",
        environment=environment,
    )


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=1):
            return True
    except (OSError, urllib.error.URLError):
        return False


# jobs ---------------------------------------------------------------------------------------------------------


class Endings:
    """Tells when the row of a job has reached a final status: PostgreSQL says so (NOTIFY), nothing is polled."""

    def __init__(self, listening: AsyncConnection[Any]) -> None:
        self._listening = listening
        self._waiting: dict[int, asyncio.Future[str]] = {}
        self._ended: dict[int, str] = {}

    @property
    def backends(self) -> list[int]:
        """The processes of PostgreSQL that serve this and nothing else."""
        return [self._listening.info.backend_pid]

    async def listen(self) -> None:
        async for notice in self._listening.notifies():
            change = Change.read(notice.payload)
            if change.status in FINAL:
                self._end(change.job_id, change.status)

    def _end(self, job_id: int, status: str) -> None:
        future = self._waiting.pop(job_id, None)
        if future is None:
            self._ended[job_id] = status
        elif not future.done():
            future.set_result(status)

    async def of(self, job_id: int) -> str:
        """The final status of a job, once it has one."""
        if job_id in self._ended:
            return self._ended.pop(job_id)
        self._waiting[job_id] = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(self._waiting[job_id], LONGEST_WAIT)


@contextlib.asynccontextmanager
async def endings(url: str) -> AsyncIterator[Endings]:
    """Listen while the block runs."""
    address = driver_address(url)
    async with await AsyncConnection.connect(address, autocommit=True) as listening:
        await listening.execute("LISTEN nightjar_jobs")
        told = Endings(listening)
        task = asyncio.create_task(told.listen())
        try:
            yield told
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@dataclass(frozen=True)
class Timed:
    """How long a job took, from outside."""

    job_id: int
    post: float
    """Until the answer to POST was there."""
    success: float
    """Until the row said SUCCESS."""


class Client:
    """Someone with the token of a superuser. Speaks plain HTTP over kept connections: what the load costs to make is
    taken from what is measured."""

    def __init__(self, address: str, token: str, ended: Endings) -> None:
        self.ended = ended
        self._host, _, port = address.removeprefix("http://").partition(":")
        self._port = int(port)
        self._head = (
            "POST /api/v2/jobs/?start_now HTTP/1.1\r\n"
            f"Host: {self._host}\r\nAuthorization: Token {token}\r\nContent-Type: application/json\r\n"
        )
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def populate(self, project_id: int, set_id: int) -> Timed:
        """Run a populate job over REST and wait for its end."""
        began = time.perf_counter()
        job = await self._post(
            {
                "name": "Populate",
                "delay": 0,
                "project_id": project_id,
                "source_image_collection_id": set_id,
                "job_type_key": "populate_captures_collection",
            }
        )
        posted = time.perf_counter()
        status = await self.ended.of(job["id"])
        if status != "SUCCESS":
            raise RuntimeError(f"job {job['id']} ended {status}")
        return Timed(job["id"], posted - began, time.perf_counter() - began)

    async def _post(self, body: Mapping[str, Any]) -> Any:
        content = orjson.dumps(body)
        reader, writer = await self._connection()
        writer.write(f"{self._head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r")[0])
        answer = await reader.readexactly(length)
        self._idle.append((time.monotonic(), reader, writer))
        if " 201 " not in head[:20]:
            raise RuntimeError(f"{head.splitlines()[0]}: {answer.decode()}")
        return orjson.loads(answer)

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # the server closes connections that were at rest for five seconds
        while self._idle:
            since, reader, writer = self._idle.pop()
            if time.monotonic() - since < 3:
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)

    async def close(self) -> None:
        for _, _, writer in self._idle:
            writer.close()
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def field_of(running: System) -> AsyncIterator[Field]:
    """Makes projects, stations, captures and sets."""
    async with Database(running.database_url, size=4, name="benchmark") as database:
        yield Field(database)


@contextlib.asynccontextmanager
async def client_of(running: System) -> AsyncIterator[Client]:
    """A client with the token of a superuser, who also hears of the ends of jobs."""
    async with field_of(running) as made, endings(running.database_url) as ended:
        client = Client(running.address, (await superuser(made)).token, ended)
        try:
            yield client
        finally:
            await client.close()


async def superuser(made: Field) -> Person:
    """Someone who may do and see everything."""
    return await made.person("benchmark@example.org", superuser=True)


def execute(url: str, *statements: str, values: Mapping[str, Any] | None = None) -> None:
    """Run statements one by one, each its own transaction (VACUUM wants that)."""
    with psycopg.connect(driver_address(url), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement, values)


# running ------------------------------------------------------------------------------------------------------


def options(description: str | None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )


def run(benchmark: Any) -> None:
    """Run the coroutine of a benchmark on the loop that API and worker use."""
    uvloop.run(benchmark)
