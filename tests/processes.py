"""Real worker processes, for tests that kill them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config import Settings
from embedded.child import Child

ROOT = Path(__file__).parent.parent


def environment(settings: Settings) -> dict[str, str]:
    """The settings as a process of ours reads them."""
    return {
        "NIGHTJAR_DATABASE_URL": settings.database_url,
        "NIGHTJAR_TEMPORAL_ADDRESS": settings.temporal_address,
        "NIGHTJAR_TASK_QUEUE": settings.task_queue,
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
