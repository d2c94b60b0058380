"""`nightjar up`: PostgreSQL, Temporal, API and worker on this machine, as children of one process."""

import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import httpx2

from config import Settings
from db import schema
from embedded.child import Child, ChildFailed
from embedded.ports import LOOPBACK, free_port
from embedded.stack import Stack, stack
from jobs.search_attributes import TYPE_NAMES

USUAL_API_PORT = 8000
RESTART_PAUSE = 1.0
"""Between the end of a child that nobody asked to end and its next start, in seconds."""


@dataclass
class Platform:
    """Everything that runs, and where it answers."""

    servers: Stack
    api: Child
    worker: Child
    settings: Settings
    api_url: str

    def children(self) -> list[Child]:
        found = [self.api, self.worker, self.servers.temporal.child, self.servers.postgres.child]
        return [child for child in found if child is not None]

    def stop(self) -> None:
        """In order: who uses a server stops before it."""
        self.worker.stop(seconds=30)
        self.api.stop()
        self.servers.stop()


@contextmanager
def running(data_dir: Path, say: Callable[[str], None]) -> Iterator[Platform]:
    """Start everything over one data folder, and stop all of it at the end, whatever happens in between."""
    with _only_one(data_dir):
        servers = stack(data_dir, TYPE_NAMES)
        started: list[Callable[[], None]] = [servers.stop]
        try:
            say("starting PostgreSQL and Temporal")
            servers.start()
            schema.create_database(servers.postgres.url())
            # they take longer to load than the migrations to run
            say("starting API and worker")
            platform = _processes(servers, data_dir)
            started.append(platform.stop)
            schema.migrate(servers.postgres.url())
            _wait_until_ready(platform)
            yield platform
        except ChildFailed as failure:
            raise SystemExit(f"nightjar: {failure}") from failure
        finally:
            started[-1]()


@contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """Two that served one folder would ruin it: the second is refused."""
    import fcntl  # where there is none, there is no embedded PostgreSQL either

    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SystemExit(f"nightjar is running already on {data_dir}") from error
        yield


def _processes(servers: Stack, data_dir: Path) -> Platform:
    port = free_port(USUAL_API_PORT)
    pictures(data_dir).mkdir(parents=True, exist_ok=True)
    environment = {
        "NIGHTJAR_DATA_DIR": str(data_dir.resolve()),
        "NIGHTJAR_DATABASE_URL": servers.postgres.url(),
        "NIGHTJAR_TEMPORAL_ADDRESS": servers.temporal.address,
        "NIGHTJAR_API_HOST": LOOPBACK,
        "NIGHTJAR_API_PORT": str(port),
        "NIGHTJAR_STORAGE_ROOTS": _roots(data_dir),
        "NIGHTJAR_SIGNING_KEY": _signing_key(data_dir),
        # children find the project's modules from whichever folder they are started
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]),
    }
    _remember(data_dir / "running.env", environment)
    logs = data_dir.resolve() / "logs"
    # not by the command line, which would load itself first
    api = Child("api", [sys.executable, "-m", "api"], logs / "api.log", environment)
    worker = Child("worker", [sys.executable, "-m", "worker"], logs / "worker.log", environment)
    api.start()
    worker.start()
    settings = Settings(
        data_dir=data_dir,
        database_url=servers.postgres.url(),
        temporal_address=servers.temporal.address,
        api_port=port,
        storage_roots=environment["NIGHTJAR_STORAGE_ROOTS"],
    )
    return Platform(servers, api, worker, settings, f"http://{LOOPBACK}:{port}")


def pictures(data_dir: Path) -> Path:
    """The folder of the data folder in which storage sources may have buckets."""
    return data_dir.resolve() / "pictures"


def _roots(data_dir: Path) -> str:
    """That folder, and those that the environment allows."""
    return os.pathsep.join(filter(None, [str(pictures(data_dir)), os.environ.get("NIGHTJAR_STORAGE_ROOTS")]))


def _signing_key(data_dir: Path) -> str:
    """That of the environment, or one that is made at the first start; readable by its owner only."""
    if given := os.environ.get("NIGHTJAR_SIGNING_KEY"):
        return given
    kept = data_dir / "signing.key"
    kept.touch(mode=0o600)
    if not kept.read_text():
        kept.write_text(secrets.token_hex(32))
    return kept.read_text()


def _remember(path: Path, environment: dict[str, str]) -> None:
    """Where everything is, for commands that are given beside: readable by its owner only."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    kept = {name: value for name, value in environment.items() if name.startswith("NIGHTJAR_")}
    path.write_text("".join(f"{name}={value}\n" for name, value in kept.items()))


def _wait_until_ready(platform: Platform) -> None:
    def answers() -> bool:
        try:
            return httpx2.get(f"{platform.api_url}/readyz", timeout=2).is_success
        except httpx2.HTTPError:
            return False

    platform.api.wait_until(answers, seconds=60)


@contextmanager
def until_told_to_stop() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, instead of breaking into whatever is being done."""
    told = threading.Event()

    def tell(number: int, frame: FrameType | None) -> None:
        told.set()

    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def keep_serving(platform: Platform, told: threading.Event, say: Callable[[str], None]) -> None:
    """Until told to stop; a child that ends by itself is started again."""
    while not told.wait(0.5):
        for child in platform.children():
            if not child.running:
                say(f"{child.name} ended; starting it again (see {child.log})")
                time.sleep(RESTART_PAUSE)
                child.start()
