"""The visible steps of a job, and the seam between a workflow and the activity that carries one out."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar

from jobs.status import Status

In = TypeVar("In")
Out = TypeVar("Out")

JOBS_QUEUE = "jobs"
"""The kind of task queue of workflows, and of short work that is best done where the workflow is."""
STORAGE_QUEUE = "storage"
"""That of work which waits for object stores, for hours at times: it keeps no short work waiting."""
QUEUES = (JOBS_QUEUE, STORAGE_QUEUE)
"""Every kind there is; each has workers of its own."""


def key_of(name: str) -> str:
    """The key of a stage or param: its name as an ASCII slug with underscores (contract 2.4)."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "_", re.sub(r"[^\w\s-]", "", ascii_name).strip().lower())


@dataclass
class Param:
    """One labelled figure of a stage; `value` is a number, a text, or "" while nothing is known."""

    name: str
    key: str
    value: Any = ""
    category: str = "default"

    @classmethod
    def named(cls, name: str, value: Any = "") -> "Param":
        return cls(name=name, key=key_of(name), value=value)


@dataclass
class StageSnapshot:
    """How far one stage is: what heartbeats carry and what the row of the stage holds."""

    key: str
    name: str
    status: Status = Status.CREATED
    progress: float = 0.0
    """From 0 to 1."""
    params: list[Param] = field(default_factory=list)

    def param(self, name_or_key: str) -> Param:
        """The param of that name or key; a new one is made at the end if there is none (contract 2.4)."""
        key = key_of(name_or_key)
        for param in self.params:
            if param.key == key:
                return param
        self.params.append(Param(name=name_or_key, key=key))
        return self.params[-1]

    def values(self) -> dict[str, Any]:
        """The values of the params by key."""
        return {param.key: param.value for param in self.params}


def mean_progress(stages: Sequence[StageSnapshot]) -> float:
    """The progress of a job: the plain mean over its stages, 0 without any (contract 2.4)."""
    return sum(stage.progress for stage in stages) / len(stages) if stages else 0.0


@dataclass(frozen=True)
class Retrying:
    """How a stage is tried again after an error that may pass: for good, at growing intervals, unless it says less."""

    first: timedelta = timedelta(seconds=1)
    """Between the first attempt and the second."""
    factor: float = 2.0
    """By which the interval grows each time."""
    longest: timedelta = timedelta(seconds=30)
    attempts: int = 0
    """At most so many; 0 for as many as it takes."""
    never: tuple[str, ...] = ()
    """Types of errors that are not tried again, besides those that activities mark so."""


@dataclass(frozen=True)
class Stage(Generic[In, Out]):
    """One visible step of a job type: its workflow runs it, an activity carries it out."""

    key: str
    """Names the activity in Temporal and the row in the database; never renamed."""

    name: str
    """What people read."""

    takes: type[In]
    gives: type[Out]

    params: tuple[str, ...] = ()
    """Names of the params that show, empty, from the start of the run."""

    counts: tuple[str, ...] = ()
    """Names of the params after those, which show 0 from the start of the run."""

    queue: str = JOBS_QUEUE
    """The kind of task queue on which its activity runs."""

    timeout: timedelta = timedelta(days=2)
    """Longest that one attempt may take."""

    retrying: Retrying = Retrying()

    def snapshot(self) -> StageSnapshot:
        """The stage before anything has happened."""
        params = [Param.named(name) for name in self.params] + [Param.named(name, 0) for name in self.counts]
        return StageSnapshot(self.key, self.name, params=params)
