"""Real processes of a worker and of the API, for tests that kill them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from config import Settings
from embedded.child import Child
from embedded.ports import free_port

ROOT = Path(__file__).parent.parent


def environment(settings: Settings) -> dict[str, str]:
    """The settings as a process of ours reads them."""
    return {
        "NIGHTJAR_DATABASE_URL": settings.database_url,
        "NIGHTJAR_TEMPORAL_ADDRESS": settings.temporal_address,
        "NIGHTJAR_TASK_QUEUE": settings.task_queue,
        "NIGHTJAR_SWEEP_EVERY": str(settings.sweep_every),
        "NIGHTJAR_MAX_CONCURRENT_ACTIVITIES": str(settings.max_concurrent_activities),
        "NIGHTJAR_STORAGE_ROOTS": settings.storage_roots,
        "NIGHTJAR_SIGNING_KEY": settings.signing_key.get_secret_value() if settings.signing_key else "",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }


@contextmanager
def worker_process(settings: Settings) -> Iterator[Child]:
    """A worker that takes work once it has loaded; ended with the block if it still runs."""
    child = Child(
        "worker", [sys.executable, "-m", "worker"], settings.data_dir / "worker.log", environment(settings)
    )
    child.start()
    try:
        yield child
    finally:
        child.stop(seconds=5)


@contextmanager
def api_process(settings: Settings) -> Iterator[tuple[Child, str]]:
    """An API that answers, and its address; ended with the block if it still runs."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    child = Child(
        "api",
        [sys.executable, "-m", "api"],
        settings.data_dir / f"api_{port}.log",
        {**environment(settings), "NIGHTJAR_API_PORT": str(port), "NIGHTJAR_LOG_LEVEL": settings.log_level},
    )

    def answers() -> bool:
        try:
            return httpx2.get(f"{address}/livez", timeout=2).status_code == 200
        except httpx2.TransportError:
            return False

    child.start()
    try:
        child.wait_until(answers, seconds=30)
        yield child, address
    finally:
        child.stop(seconds=5)
