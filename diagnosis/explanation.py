"""The answer to why a job is where it is."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Cause(StrEnum):
    """What keeps a job, or moves it; the order is that of the documentation, not that of the rules."""

    NOT_STARTED = "not_started"
    WAITING_FOR_TEMPORAL = "waiting_for_temporal"
    TEMPORAL_UNREACHABLE = "temporal_unreachable"
    NO_WORKER = "no_worker"
    WAITING_BEHIND_OTHERS = "waiting_behind_others"
    WAITING_FOR_TURN = "waiting_for_turn"
    STARTING = "starting"
    DELAYED = "delayed"
    PAUSED = "paused"
    WORKING = "working"
    RETRYING = "retrying"
    EXTERNAL_SERVICE_DOWN = "external_service_down"
    HEARTBEAT_STALLED = "heartbeat_stalled"
    WORKFLOW_TASK_FAILING = "workflow_task_failing"
    CANCELLING = "cancelling"
    EXECUTION_GONE = "execution_gone"
    ENDED = "ended"


class Actor(StrEnum):
    """Who can do something about it."""

    NOBODY = "nobody"
    """It goes on by itself, or there is nothing to mend."""
    OWNER = "owner"
    """Whoever may run the job."""
    OPERATOR = "operator"
    """Whoever runs workers and servers."""
    SERVICE = "service"
    """Whoever runs the service that does not answer."""


@dataclass(frozen=True)
class Evidence:
    """One thing that is known."""

    what: str
    value: str | int | float | datetime


@dataclass(frozen=True)
class Explanation:
    """The answer."""

    cause: Cause
    summary: str
    """One sentence for who waits for the job."""
    since: datetime | None
    action_by: Actor
    evidence: tuple[Evidence, ...] = ()
