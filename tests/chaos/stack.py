"""Everything that a chaos run needs, as processes that are killed and started again, with passages between them."""

import asyncio
import logging
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2

from config import Settings
from db import schema
from embedded.child import Child, ChildFailed
from embedded.ports import free_port
from embedded.stack import Stack, stack
from jobs.search_attributes import TYPE_NAMES
from tests.passages import Passage, passage
from tests.processes import environment
from tests.waiting import until

logger = logging.getLogger("chaos.stack")

BY_ITSELF = 1.0
"""Seconds until a process that ended by itself is started again, as `nightjar up` does."""
STARTS_WITHIN = 300.0
"""Seconds, also on a slow machine."""
LOW_PORTS = (20000, 32000)
"""Below the ports that systems give to outgoing connections: none of those takes the place of a killed server."""


_given_out: set[int] = set()


def lasting_port() -> int:
    """A free port that stays ours while nobody listens on it: no other of this run, nor of one beside it, gets it."""
    # runs side by side, one per process of the tests, take every so-manieth port each
    share = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    shares = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    low, high = LOW_PORTS
    while True:
        wanted = random.randrange(low + share, high, shares)
        if wanted not in _given_out and free_port(wanted) == wanted:
            _given_out.add(wanted)
            return wanted


class Kept:
    """A process that is kept going: started by a thread of its own, which lives as long as the run."""

    def __init__(self, name: str, begin: Callable[[], None], child: Callable[[], Child | None]) -> None:
        self.name = name
        self._begin = begin
        self._child = child
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._busy = asyncio.Lock()
        self.ended_by_itself = 0

    async def _in_thread(self, act: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, act)

    @property
    def running(self) -> bool:
        child = self._child()
        return child is not None and child.running

    async def begin(self) -> None:
        async with self._busy:
            await self._in_thread(self._begin)

    async def kill(self, pause: float) -> None:
        """kill -9; start it again after so many seconds."""
        async with self._busy:
            child = self._child()
            if child is not None:
                await self._in_thread(child.kill)
            await asyncio.sleep(pause)
            await self._in_thread(self._begin)

    async def mind(self) -> None:
        """Start it again whenever it ends by itself."""
        while True:
            await asyncio.sleep(0.2)
            if self._busy.locked() or self.running:
                continue
            logger.info("%s ended by itself", self.name)
            self.ended_by_itself += 1
            async with self._busy:
                await asyncio.sleep(BY_ITSELF)
                await self._in_thread(self._begin)

    async def stop(self, *, gently: bool = True) -> None:
        """End it for good; what it keeps in files is as it should be if it is done gently."""
        child = self._child()
        if child is not None:
            await self._in_thread(child.stop if gently else child.kill)
        self._thread.shutdown()


@dataclass
class Platform:
    """What runs, and where it answers without any passage in between."""

    settings: Settings
    apis: list[str]
    processes: dict[str, list[Kept]]
    """By their names in a plan."""
    passages: dict[str, list[Passage]]

    @property
    def ended_by_themselves(self) -> dict[str, int]:
        counts = {name: sum(each.ended_by_itself for each in all_) for name, all_ in self.processes.items()}
        return {name: count for name, count in counts.items() if count}

    async def all_up(self, seconds: float = STARTS_WITHIN) -> None:
        """Until everything runs and every API is ready; fails if that takes longer."""

        async def ready() -> bool:
            up = all(each.running for all_ in self.processes.values() for each in all_)
            return up and all([await _is_ready(client, api) for api in self.apis])

        async with httpx2.AsyncClient(timeout=5, verify=False) as client:
            await until(ready, "everything up", seconds)


async def _is_ready(client: httpx2.AsyncClient, address: str) -> bool:
    """Whether an API reaches the database and Temporal."""
    with suppress(httpx2.HTTPError):
        answer = await client.get(f"{address}/readyz")
        return answer.is_success and answer.json()["status"] == "ok"
    return False


@asynccontextmanager
async def running(folder: Path, many: Mapping[str, int]) -> AsyncIterator[Platform]:
    """The platform over an empty folder, with so many API processes and workers; all have ended after the block."""
    servers = stack(folder, TYPE_NAMES)
    postgres, temporal = _postgres(servers), _temporal(servers)
    async with AsyncExitStack() as cleaning:
        cleaning.push_async_callback(postgres.stop)
        cleaning.push_async_callback(temporal.stop)
        await asyncio.gather(postgres.begin(), temporal.begin())
        url = servers.postgres.url()
        await asyncio.to_thread(schema.create_database, url)
        await asyncio.to_thread(schema.migrate, url)
        settings = Settings(
            data_dir=folder,
            database_url=url,
            temporal_address=servers.temporal.address,
            task_queue="chaos",
            storage_roots=str(folder / "stores"),
        )
        platform = Platform(settings, [], {"postgres": [postgres], "temporal": [temporal]}, {})
        for name, begin in (("api", _api), ("worker", _worker)):
            for number in range(many[name]):
                process = await _add(cleaning, platform, name, number, begin)
                await process.begin()
        minding = [asyncio.create_task(each.mind()) for all_ in platform.processes.values() for each in all_]
        try:
            await platform.all_up()
            yield platform
        finally:
            for task in minding:
                task.cancel()
            ends = await asyncio.gather(*minding, return_exceptions=True)
            for end in ends:
                if isinstance(end, ChildFailed):
                    logger.error("a process could not be started again: %s", end)


async def _add(
    cleaning: AsyncExitStack,
    platform: Platform,
    name: str,
    number: int,
    make: Callable[[Platform, int, dict[str, str]], Child],
) -> Kept:
    """A process of ours, which reaches the servers by passages of its own."""
    settings = platform.settings
    far = {"postgres": settings.database_url.rpartition("@")[2].partition("/")[0]}
    far["temporal"] = settings.temporal_address
    near: dict[str, str] = {}
    for server, address in far.items():
        made = await cleaning.enter_async_context(passage(address, lasting_port()))
        platform.passages.setdefault(f"{name}-{server}", []).append(made)
        near[server] = made.address
    own = environment(settings)
    own["NIGHTJAR_DATABASE_URL"] = settings.database_url.replace(far["postgres"], near["postgres"])
    own["NIGHTJAR_TEMPORAL_ADDRESS"] = near["temporal"]
    child = make(platform, number, own)
    process = Kept(child.name, child.start, lambda: child)
    platform.processes.setdefault(name, []).append(process)
    cleaning.push_async_callback(process.stop, gently=False)
    return process


def _api(platform: Platform, number: int, own: dict[str, str]) -> Child:
    port = lasting_port()
    platform.apis.append(f"http://127.0.0.1:{port}")
    own["NIGHTJAR_API_PORT"] = str(port)
    log = platform.settings.data_dir / "logs" / f"api_{number}.log"
    return Child(f"api {number}", [sys.executable, "-m", "api"], log, own)


def _worker(platform: Platform, number: int, own: dict[str, str]) -> Child:
    log = platform.settings.data_dir / "logs" / f"worker_{number}.log"
    return Child(f"worker {number}", [sys.executable, "-m", "worker"], log, own)


def _postgres(servers: Stack) -> Kept:
    port = lasting_port()

    def begin() -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                servers.postgres.start(port)
                break
            except ChildFailed:
                # sessions of a killed server may finish a statement: until then their memory is in use
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        if servers.postgres.port != port:
            raise OSError(f"port {port} was taken while PostgreSQL was away")

    return Kept("postgres", begin, lambda: servers.postgres.child)


def _temporal(servers: Stack) -> Kept:
    ports = (lasting_port(), lasting_port())

    def begin() -> None:
        servers.temporal.start(*ports)
        servers.temporal.wait()

    return Kept("temporal", begin, lambda: servers.temporal.child)


def forget_environment() -> None:
    """Settings of whoever starts the run are not those of the run."""
    for name in [name for name in os.environ if name.startswith("NIGHTJAR_")]:
        del os.environ[name]
