"""One PostgreSQL and one Temporal for the session; a database, a task queue, an API and a worker for each test."""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import psycopg
import pytest
import uvicorn
from temporalio.client import Client

from api.app import create_app
from config import Settings
from db import schema
from db.connections import Database, driver_address
from embedded.stack import Stack, stack
from jobs.search_attributes import TYPE_NAMES
from temporal.connection import connect
from tests.field import Field, Person
from tests.object_store import s3 as s3
from worker import working

TEMPLATE = "template_nightjar"
_numbers = itertools.count(1)
_TEMPORARY = "PYTEST_DEBUG_TEMPROOT"


def pytest_configure(config: pytest.Config) -> None:
    """A folder for the temporary files of this run alone.

    In the usual one each pytest that starts takes the right to enter from everybody else; PostgreSQL, which root runs
    as another user, then finds its data no more.
    """
    if _TEMPORARY in os.environ:
        return
    os.environ[_TEMPORARY] = root = tempfile.mkdtemp(prefix="nightjar-tests-")
    config.add_cleanup(lambda: _remove_unless_kept(Path(root)))


def _remove_unless_kept(root: Path) -> None:
    # what a failed run has left is there to be looked at
    if not (root / "keep").exists():
        shutil.rmtree(root, ignore_errors=True)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    root = os.environ.get(_TEMPORARY)
    if exitstatus and root is not None and Path(root).exists():
        (Path(root) / "keep").touch()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Real servers on free ports, with the schema as the migrations make it in a template database."""
    for name in [name for name in os.environ if name.startswith("NIGHTJAR_")]:
        del os.environ[name]
    both = stack(tmp_path_factory.mktemp("servers"), TYPE_NAMES)
    # what tests kill are processes, and those lose nothing by this; only a power cut would
    both.postgres.options = {"fsync": "off", "full_page_writes": "off"}
    try:
        both.start(usual_ports=False)
        schema.create_database(both.postgres.url(TEMPLATE))
        schema.migrate(both.postgres.url(TEMPLATE))
        yield both
    finally:
        both.stop()


@pytest.fixture
def database_url(servers: Stack) -> Iterator[str]:
    """A database of its own, empty but for the schema."""
    number = next(_numbers)
    name = f"test_{number}"
    admin = driver_address(servers.postgres.url("postgres"))
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    url = servers.postgres.url(name)
    with psycopg.connect(driver_address(url), autocommit=True) as connection:
        # all tests share a Temporal namespace, where workflows are named by the ids of their jobs
        connection.execute(f"ALTER TABLE jobs ALTER id RESTART WITH {number * 1000}")
    yield url
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(servers: Stack, database_url: str, tmp_path: Path) -> Settings:
    """The settings of every process of a test."""
    (tmp_path / "stores").mkdir()
    return Settings(
        data_dir=tmp_path,
        database_url=database_url,
        database_pool=10,
        temporal_address=servers.temporal.address,
        task_queue=database_url.rpartition("/")[2],
        # the tests of the sweep make its Schedule themselves: hundreds of them would go on to the end of the session
        sweep_every=0,
        storage_roots=str(tmp_path / "stores"),
        signing_key="0123456789abcdef0123456789abcdef",
    )


@pytest.fixture
async def temporal(settings: Settings) -> Client:
    return await connect(settings)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with Database(settings.database_url, size=5, name="tests") as opened:
        yield opened


@pytest.fixture
async def field(database: Database) -> Field:
    """Makes projects, stations, captures, sets and people."""
    return Field(database)


@pytest.fixture
async def worker(settings: Settings) -> AsyncIterator[None]:
    """A worker in this process, for tests that have no need to kill it."""
    async with working(settings):
        yield


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[str]:
    """The API over real HTTP on a free port; gives its address."""
    config = uvicorn.Config(create_app(settings), port=0, log_level="warning", loop="none", lifespan="on")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def address(settings: Settings) -> AsyncIterator[str]:
    """Where the API of this test answers."""
    async with serving(settings) as url:
        yield url


@pytest.fixture
async def anonymous(address: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client without a token."""
    async with httpx2.AsyncClient(base_url=f"{address}/api/v2", timeout=20) as client:
        yield client


@pytest.fixture
async def admin(field: Field) -> Person:
    return await field.person("admin@example.org", superuser=True)


@pytest.fixture
async def client(address: str, admin: Person) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the token of a superuser."""
    async with httpx2.AsyncClient(
        base_url=f"{address}/api/v2", headers=admin.headers, timeout=20
    ) as authorized:
        yield authorized
