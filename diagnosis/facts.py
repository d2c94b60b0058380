"""What is known of a job that is to be explained: what PostgreSQL says, and what Temporal says.

The facts are gathered by `db.explaining_rows` and `temporal.describe`.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from jobs.status import Status

POLL_LIFE = timedelta(seconds=70)
"""A worker asks for work anew every minute: one that has not for longer is gone."""
SILENT = "Timeout"
"""The type of failure of an attempt whose worker fell silent."""
_CLOSED = ("COMPLETED", "FAILED", "CANCELED", "TERMINATED", "CONTINUED_AS_NEW", "TIMED_OUT")
"""Temporal's states of an execution that has ended; a newer server may have more states of one that has not."""


@dataclass(frozen=True)
class StageFacts:
    key: str
    name: str
    status: Status
    progress: float
    updated_at: datetime
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class JobFacts:
    """What PostgreSQL says."""

    status: Status
    created_at: datetime
    asked_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    paused_at: datetime | None = None
    delay: int = 0
    stages: tuple[StageFacts, ...] = ()
    asked_before: int = 0
    """Jobs that were asked to run earlier and still wait, or are worked on."""
    others_under_way: int = 0
    """Other jobs that a worker may be busy with."""
    workers_connected: int | None = None
    """Workers that are connected to PostgreSQL; null where it does not let us know."""
    last_error: str | None = None
    """The newest error in the log of the run."""
    last_line_at: datetime | None = None
    """When the newest line was added to its log."""


@dataclass(frozen=True)
class ActivityFacts:
    """An activity that Temporal has not seen the end of."""

    key: str
    """That of its stage."""
    started: bool
    """A worker has taken this attempt."""
    attempt: int = 1
    paused: bool = False
    """Held by Temporal's own tools."""
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    heartbeat_at: datetime | None = None
    next_attempt_at: datetime | None = None
    worker: str = ""
    failure_type: str = ""
    failure: str = ""


@dataclass(frozen=True)
class WorkflowTaskFacts:
    """The next step of the workflow, which waits for a worker or is with one."""

    started: bool
    scheduled_at: datetime
    attempt: int = 1
    failure: str = ""
    """Why the attempt before failed; empty if its worker only fell silent."""


@dataclass(frozen=True)
class WorkflowFacts:
    """The execution that does the work of the run."""

    status: str = "RUNNING"
    closed_at: datetime | None = None
    cancel_requested: bool = False
    task: WorkflowTaskFacts | None = None
    activities: tuple[ActivityFacts, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.status not in _CLOSED


@dataclass(frozen=True)
class Poller:
    """A worker that asks a task queue for work, and when it began to ask last."""

    identity: str
    at: datetime


@dataclass(frozen=True)
class QueueFacts:
    """A task queue, as workers and those who wait see it."""

    name: str
    pollers: tuple[Poller, ...] = ()
    backlog: int = 0
    backlog_age: timedelta = timedelta(0)

    def alive(self, now: datetime) -> tuple[Poller, ...]:
        return tuple(poller for poller in self.pollers if now - poller.at < POLL_LIFE)

    def asked_since(self, moment: datetime) -> bool:
        """Whether anybody asked for work after that; who was asking already would have got it."""
        return any(poller.at >= moment for poller in self.pollers)


@dataclass(frozen=True)
class TemporalFacts:
    """What Temporal says."""

    unreachable: str | None = None
    """Why it could not be asked; null if it could."""
    workflow: WorkflowFacts | None = None
    workflows: QueueFacts | None = None
    """Where workflows wait for workers."""
    stages: dict[str, QueueFacts] = field(default_factory=dict)
    """Where activities wait for workers, by the key of their stage."""


@dataclass(frozen=True)
class Facts:
    now: datetime
    job: JobFacts
    temporal: TemporalFacts = field(default_factory=TemporalFacts)

    @property
    def workflow(self) -> WorkflowFacts:
        return self.temporal.workflow or WorkflowFacts()

    @property
    def activity(self) -> ActivityFacts | None:
        """The one that is under way; the one in the worst state if several are."""
        order = sorted(self.workflow.activities, key=lambda each: (each.started, -each.attempt))
        return order[0] if order else None

    def stage(self, key: str) -> StageFacts | None:
        return next((stage for stage in self.job.stages if stage.key == key), None)

    @property
    def waits_since(self) -> tuple[QueueFacts, datetime] | None:
        """The queue in which the next step of the job waits for a worker, and since when."""
        task, activity = self.workflow.task, self.activity
        if task is not None and not task.started and self.temporal.workflows is not None:
            return self.temporal.workflows, task.scheduled_at
        if activity is None or activity.started or activity.paused:
            return None
        queue = self.temporal.stages.get(activity.key)
        due = activity.next_attempt_at or activity.scheduled_at
        return None if queue is None or due is None or due > self.now else (queue, due)
