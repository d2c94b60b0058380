"""`nightjar up`: PostgreSQL, Temporal, API and worker on this machine, as children of one process."""

import asyncio
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import httpx2

from commands import doctor, running_stack
from commands.connection import request
from config import Settings
from db import schema
from embedded import private_files
from embedded.child import Child, ChildFailed
from embedded.ports import LOOPBACK, listening
from embedded.stack import Stack, stack
from jobs.search_attributes import TYPE_NAMES

USUAL_API_PORT = 8000
PYTHON = (sys.executable, "-P")
"""Without the folder that one stands in among the places of modules: it may have a `config.py` of its own."""
RESTART_PAUSE = 1.0
"""Between the end of a child that nobody asked to end and its next start, in seconds."""
OF_ANOTHER_TEMPORAL: dict[str, str | None] = {
    "NIGHTJAR_TEMPORAL_NAMESPACE": "default",
    "NIGHTJAR_TEMPORAL_TLS": "false",
    "NIGHTJAR_TEMPORAL_API_KEY": None,
    "NIGHTJAR_TEMPORAL_TLS_CA": None,
    "NIGHTJAR_TEMPORAL_TLS_CERT": None,
    "NIGHTJAR_TEMPORAL_TLS_KEY": None,
}
"""What the environment may say of a Temporal elsewhere has nothing to do with the embedded one."""


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

    def stop_processes(self) -> None:
        """Stop our own processes; the servers that they use stop after them."""
        self.worker.stop(seconds=30)
        self.api.stop()


@contextmanager
def running(data_dir: Path, say: Callable[[str], None]) -> Iterator[Platform]:
    """Start everything over one data folder, and stop all of it at the end, whatever happens in between.

    While it runs, other commands find it by what it writes into the folder (commands.running_stack).
    """
    with running_stack.alone(data_dir), ExitStack() as stopping:
        try:
            servers = stack(data_dir, TYPE_NAMES)
            stopping.callback(servers.stop)
            say("starting PostgreSQL and Temporal")
            servers.start()
            schema.create_database(servers.postgres.url())
            # they take longer to load than the migrations to run
            say("starting API and worker")
            instance = secrets.token_hex(16)
            # the port is ours before the API runs, and while it is started again: no other program can answer there
            listener = stopping.enter_context(listening(USUAL_API_PORT))
            platform = _processes(servers, data_dir, listener, instance)
            stopping.callback(platform.stop_processes)
            schema.migrate(servers.postgres.url())
            _wait_until_ready(platform)
            running_stack.write(data_dir, instance, platform.api_url, servers.temporal.ui, platform.settings)
            # before anything stops, so that nobody looks for what is going away
            stopping.callback(running_stack.remove, data_dir)
            yield platform
        except ChildFailed as failure:
            raise SystemExit(f"nightjar: {failure}") from failure


def _processes(servers: Stack, data_dir: Path, listener: socket.socket, instance: str) -> Platform:
    port = listener.getsockname()[1]
    pictures(data_dir).mkdir(parents=True, exist_ok=True)
    environment = {
        **OF_ANOTHER_TEMPORAL,
        "NIGHTJAR_DATA_DIR": str(data_dir.resolve()),
        "NIGHTJAR_DATABASE_URL": servers.postgres.url(),
        "NIGHTJAR_TEMPORAL_ADDRESS": servers.temporal.address,
        "NIGHTJAR_INSTANCE": instance,
        "NIGHTJAR_STORAGE_ROOTS": _roots(data_dir),
        "NIGHTJAR_SIGNING_KEY": _signing_key(data_dir),
        # children find the project's modules from whichever folder they are started
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]),
    }
    of_api = {
        "NIGHTJAR_API_HOST": LOOPBACK,
        "NIGHTJAR_API_PORT": str(port),
        "NIGHTJAR_API_FD": str(listener.fileno()),
    }
    logs = data_dir.resolve() / "logs"
    # not by the command line, which would load itself first
    api = Child(
        "api",
        [*PYTHON, "-m", "api"],
        logs / "api.log",
        {**environment, **of_api},
        inherits=[listener.fileno()],
    )
    worker = Child("worker", [*PYTHON, "-m", "worker"], logs / "worker.log", environment)
    api.start()
    worker.start()
    settings = Settings(
        data_dir=data_dir,
        database_url=servers.postgres.url(),
        temporal_address=servers.temporal.address,
        temporal_namespace=OF_ANOTHER_TEMPORAL["NIGHTJAR_TEMPORAL_NAMESPACE"] or "",
        api_port=port,
        storage_roots=environment["NIGHTJAR_STORAGE_ROOTS"] or "",
        signing_key=environment["NIGHTJAR_SIGNING_KEY"],
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
    if not kept.exists() or not kept.read_text():
        private_files.write(kept, secrets.token_hex(32))
    return kept.read_text()


def _wait_until_ready(platform: Platform) -> None:
    """Until all that `nightjar doctor` looks at is well."""

    def answers() -> bool:
        try:
            # nobody but our own child can answer: its socket was bound before it was started
            return request("GET", f"{platform.api_url}/readyz", timeout=2).is_success
        except httpx2.HTTPError:
            return False

    def works() -> bool:
        return all(finding.fine for finding in asyncio.run(doctor.examine(platform.settings)))

    platform.api.wait_until(answers, seconds=60)
    platform.worker.wait_until(works, seconds=60)


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
                _start_again(child, say)


def _start_again(child: Child, say: Callable[[str], None]) -> None:
    say(f"{child.name} ended; starting it again (see {child.log})")
    time.sleep(RESTART_PAUSE)
    if (port := child.lost_port()) is not None:
        # everybody knows it by that port: at another one it would be of no use
        say(
            f"port {port} of {child.name} is now taken by another program: end that, or start `nightjar up` again"
        )
    child.start()
