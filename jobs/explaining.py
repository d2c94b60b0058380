"""Why a job is where it is: the facts about it, and the first rule that fits them.

No I/O: the facts are gathered by `db.explaining_rows` and `executions.looking`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from jobs import delay
from jobs.errors import ServiceUnavailable, StationBusy
from jobs.status import FINAL, Status

POLL_LIFE = timedelta(seconds=70)
"""A worker asks for work anew every minute: one that has not for longer is gone."""
AT_ONCE = timedelta(seconds=3)
"""What waits is taken within this by a worker that is free; longer than the last word of who ended may take."""
STICKY = timedelta(seconds=11)
"""For so long Temporal keeps the next step of a workflow for the worker that did the one before."""
SILENCE = timedelta(seconds=5)
"""Activities beat every second; one that has not for longer has lost its worker, or that its way to Temporal."""
HEARTBEAT_TIMEOUT = timedelta(seconds=10)
FRESH_ATTEMPT = timedelta(seconds=10)
"""An attempt after failures that is younger may yet fail as they did."""
PATIENT_STARTS = timedelta(seconds=10)
"""A run whose start Temporal still does not know after this is being refused, not carried over."""
MANY_ATTEMPTS = 5
"""What has failed so often will hardly mend itself."""
LONGEST_WORDS = 300
_CLOSED = ("COMPLETED", "FAILED", "CANCELED", "TERMINATED", "CONTINUED_AS_NEW", "TIMED_OUT")
"""Temporal's states of an execution that has ended; a newer server may have more states of one that has not."""
SILENT = "Timeout"
"""The type of failure of an attempt whose worker fell silent."""

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_QUERY = re.compile(r"(://[^\s?'\"]*\?)[^\s'\"]+")


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


class Mender(StrEnum):
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
    mended_by: Mender
    evidence: tuple[Evidence, ...] = ()


# facts --------------------------------------------------------------------------------------------------------


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


# words --------------------------------------------------------------------------------------------------------


def plain(message: str) -> str:
    """The first line of an error's text, without what may be secret: passwords and signatures in addresses."""
    line = message.strip().split("\n", 1)[0]
    line = _QUERY.sub(r"\1…", _CREDENTIALS.sub("***@", line))
    return line if len(line) <= LONGEST_WORDS else f"{line[: LONGEST_WORDS - 1]}…"


def how_long(seconds: float) -> str:
    """A length of time as people say it."""
    seconds = max(0.0, seconds)
    if seconds < 90:
        return f"{round(seconds)} s"
    for unit, length, until in (("min", 60, 5400), ("h", 3600, 172800)):
        if seconds < until:
            return f"{round(seconds / length)} {unit}"
    return f"{round(seconds / 86400)} days"


def _count(number: int, one: str) -> str:
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


def _queue_evidence(queue: QueueFacts, now: datetime) -> list[Evidence]:
    alive = queue.alive(now)
    found = [Evidence("task queue", queue.name), Evidence("waiting in the queue", queue.backlog)]
    if queue.backlog:
        found.append(Evidence("oldest in the queue waits", how_long(queue.backlog_age.total_seconds())))
    names = ", ".join(sorted({poller.identity for poller in alive})) or "none"
    found.append(Evidence("workers that asked for work in the last minute", names))
    if queue.pollers:
        found.append(Evidence("last time that a worker asked", max(poller.at for poller in queue.pollers)))
    return found


def _activity_evidence(activity: ActivityFacts) -> list[Evidence]:
    found = [Evidence("stage", activity.key), Evidence("attempt", activity.attempt)]
    if activity.worker:
        found.append(Evidence("worker", activity.worker))
    if activity.failure:
        found.append(Evidence("last error", plain(activity.failure)))
    if activity.heartbeat_at is not None:
        found.append(Evidence("last sign of life", activity.heartbeat_at))
    return found


# rules: each gives an explanation, or None if it is not that ------------------------------------------------------


def _ended(facts: Facts) -> Explanation | None:
    job = facts.job
    if job.status not in FINAL:
        return None
    if job.status is Status.SUCCESS:
        return Explanation(Cause.ENDED, "Done", job.finished_at, Mender.NOBODY)
    if job.status is Status.REVOKED:
        return Explanation(
            Cause.ENDED, "Cancelled: run it again to start over", job.finished_at, Mender.OWNER
        )
    reason = plain(job.last_error or "the log does not say why")
    return Explanation(
        Cause.ENDED, f"Failed: {reason}", job.finished_at, Mender.OWNER, (Evidence("last error", reason),)
    )


def _not_started(facts: Facts) -> Explanation | None:
    if facts.job.status.is_active:
        return None
    summary = "Not started yet: nobody has asked for it to run"
    return Explanation(Cause.NOT_STARTED, summary, facts.job.created_at, Mender.OWNER)


def _cancelling(facts: Facts) -> Explanation | None:
    by_temporal = facts.workflow.cancel_requested and facts.workflow.is_open
    if facts.job.status is not Status.CANCELING and not by_temporal:
        return None
    asked = facts.job.asked_at if facts.job.status is Status.CANCELING else None
    evidence = [Evidence("Temporal knows of it", "yes" if by_temporal else "not yet")]
    if facts.activity is not None:
        evidence += _activity_evidence(facts.activity)
    summary = "Cancelling: it ends within a few seconds, and nothing more is written for it"
    return Explanation(Cause.CANCELLING, summary, asked, Mender.NOBODY, tuple(evidence))


def _paused(facts: Facts) -> Explanation | None:
    activity = facts.activity
    if facts.job.paused_at is not None:
        finishing = activity is not None and activity.started
        held = (
            "what is under way is being finished" if finishing else "nothing new is begun until it is resumed"
        )
        return Explanation(Cause.PAUSED, f"Paused: {held}", facts.job.paused_at, Mender.OWNER)
    if facts.workflow.status != "PAUSED" and not (activity is not None and activity.paused):
        return None
    evidence = _activity_evidence(activity) if activity is not None else []
    summary = "Paused with Temporal's own tools: an operator must let it go on"
    return Explanation(Cause.PAUSED, summary, None, Mender.OPERATOR, tuple(evidence))


def _temporal_away(facts: Facts) -> Explanation | None:
    reason = facts.temporal.unreachable
    if reason is None:
        return None
    evidence = (Evidence("Temporal", plain(reason)),)
    if facts.job.status is Status.PENDING:
        summary = "Waiting for Temporal, which cannot be reached: the job starts by itself when it is back"
        return Explanation(Cause.WAITING_FOR_TEMPORAL, summary, facts.job.asked_at, Mender.OPERATOR, evidence)
    summary = "Temporal cannot be reached: the job goes on when it is back"
    return Explanation(Cause.TEMPORAL_UNREACHABLE, summary, None, Mender.OPERATOR, evidence)


def _not_known_to_temporal(facts: Facts) -> Explanation | None:
    workflow = facts.temporal.workflow
    if facts.job.status is not Status.PENDING or (workflow is not None and workflow.is_open):
        return None
    asked = facts.job.asked_at or facts.job.created_at
    if facts.now - asked < PATIENT_STARTS:
        return Explanation(Cause.WAITING_FOR_TEMPORAL, "Being started", asked, Mender.NOBODY)
    waited = how_long((facts.now - asked).total_seconds())
    summary = f"Temporal has not taken the start for {waited}: ask an operator to run nightjar doctor"
    return Explanation(Cause.WAITING_FOR_TEMPORAL, summary, asked, Mender.OPERATOR)


def _gone(facts: Facts) -> Explanation | None:
    workflow = facts.temporal.workflow
    if workflow is not None and workflow.is_open:
        return None
    if workflow is None:
        summary = "Its workflow is not there any more: the job is closed within about 30 s"
        return Explanation(Cause.EXECUTION_GONE, summary, None, Mender.NOBODY)
    word = workflow.status.lower().replace("_", " ")
    summary = f"Its workflow ended ({word}) without a word: the job is closed within about 30 s"
    evidence = (Evidence("workflow", workflow.status),)
    return Explanation(Cause.EXECUTION_GONE, summary, workflow.closed_at, Mender.NOBODY, evidence)


def _workflow_failing(facts: Facts) -> Explanation | None:
    task = facts.workflow.task
    if task is None or task.attempt < 2 or not task.failure:
        return None
    reason = plain(task.failure)
    evidence = (Evidence("last error", reason), Evidence("attempt", task.attempt))
    summary = f"The workers' code does not fit this job: ask an operator ({reason})"
    return Explanation(Cause.WORKFLOW_TASK_FAILING, summary, task.scheduled_at, Mender.OPERATOR, evidence)


def _no_worker(facts: Facts) -> Explanation | None:
    waits = facts.waits_since
    if waits is None or not _unattended(facts, *waits):
        return None
    queue, since = waits
    summary = f"No worker is running: ask an operator to start one (queue {queue.name})"
    evidence = tuple(_queue_evidence(queue, facts.now))
    return Explanation(Cause.NO_WORKER, summary, since, Mender.OPERATOR, evidence)


def _unattended(facts: Facts, queue: QueueFacts, since: datetime) -> bool:
    """Whether nobody is there to take what waits in that queue.

    Temporal keeps who asked for work for minutes after the process died, PostgreSQL who is connected not for a
    moment. Who is free takes what waits at once: if
    nobody has asked since it began to wait, nobody is free. For the steps of workflows there is always room, so
    then nobody is there; for activities a worker may be full with those of other jobs.
    """
    if not queue.alive(facts.now):
        return True
    if queue.asked_since(since) or facts.now - since < AT_ONCE:
        return False
    if facts.job.workers_connected == 0:
        return True
    if facts.workflow.task is None:
        return not facts.job.others_under_way or not _workflows_are_attended(facts)
    # a step after the first may wait for the one worker that did the step before
    return facts.job.status is Status.PENDING or queue.backlog > 0 or facts.now - since > STICKY


def _workflows_are_attended(facts: Facts) -> bool:
    queue = facts.temporal.workflows
    return queue is not None and bool(queue.alive(facts.now))


def _waiting_for_turn(facts: Facts) -> Explanation | None:
    activity = facts.activity
    if activity is None or activity.failure_type != StationBusy.__name__:
        return None
    if activity.started and not _may_fail_again(activity, facts.now):
        return None
    stage = facts.stage(activity.key)
    since = None if stage is None else _began(facts, stage)
    evidence = [Evidence("stage", activity.key)]
    if activity.next_attempt_at is not None:
        evidence.append(Evidence("looks again", activity.next_attempt_at))
    return Explanation(Cause.WAITING_FOR_TURN, plain(activity.failure), since, Mender.NOBODY, tuple(evidence))


def _retrying(facts: Facts) -> Explanation | None:
    activity = facts.activity
    if activity is None or activity.attempt < 2 or not activity.failure:
        return None
    if activity.started and not _may_fail_again(activity, facts.now):
        return None
    reason, due = plain(activity.failure), activity.next_attempt_at
    wait = 0.0 if due is None else (due - facts.now).total_seconds()
    when = f"in {how_long(wait)}" if wait > 0 and not activity.started else "now"
    evidence = _activity_evidence(activity)
    if due is not None and not activity.started:
        evidence.append(Evidence("next attempt", due))
    if activity.failure_type == ServiceUnavailable.__name__:
        summary = f"{reason}. Trying again {when} (attempt {activity.attempt})"
        return Explanation(
            Cause.EXTERNAL_SERVICE_DOWN, summary, _failing_since(facts), Mender.SERVICE, tuple(evidence)
        )
    summary = f"Trying again {when}: {reason} (attempt {activity.attempt})"
    mender = Mender.OPERATOR if activity.attempt > MANY_ATTEMPTS else Mender.NOBODY
    return Explanation(Cause.RETRYING, summary, _failing_since(facts), mender, tuple(evidence))


def _may_fail_again(activity: ActivityFacts, now: datetime) -> bool:
    """Whether an attempt under way is too young to tell that it fares better; a new worker does at once."""
    fresh = activity.started_at is not None and now - activity.started_at < FRESH_ATTEMPT
    return fresh and activity.failure_type != SILENT


def _failing_since(facts: Facts) -> datetime | None:
    """When the stage did something last: what each attempt writes is older than its failure."""
    activity = facts.activity
    stage = None if activity is None else facts.stage(activity.key)
    return None if stage is None else stage.updated_at


def _waiting(facts: Facts) -> Explanation | None:
    waits = facts.waits_since
    if waits is None:
        return None
    queue, since = waits
    before = facts.job.asked_before
    evidence = (Evidence("jobs asked for earlier, not over yet", before), *_queue_evidence(queue, facts.now))
    if facts.now - since < AT_ONCE and not queue.backlog:
        return Explanation(Cause.STARTING, "Being handed to a worker", since, Mender.NOBODY, evidence)
    summary = f"Waiting behind {_count(before, 'job')}" if before else "Waiting for a worker that is busy"
    return Explanation(Cause.WAITING_BEHIND_OTHERS, summary, since, Mender.NOBODY, evidence)


def _delayed(facts: Facts) -> Explanation | None:
    stage, job = facts.stage(delay.KEY), facts.job
    if stage is None or stage.status is not Status.STARTED or job.started_at is None:
        return None
    # the row says how much of the delay was over when; time in which the job was paused is not counted
    until = stage.updated_at + timedelta(seconds=(1 - stage.progress) * job.delay)
    rest = (until - facts.now).total_seconds()
    evidence = [Evidence("until", until)]
    if facts.temporal.workflows is not None and not facts.temporal.workflows.alive(facts.now):
        evidence.append(Evidence("workers that asked for work in the last minute", "none"))
    summary = (
        f"Delayed: begins in {how_long(rest)}, as it was asked to" if rest > 0 else "Delayed: about to begin"
    )
    return Explanation(Cause.DELAYED, summary, job.started_at, Mender.NOBODY, tuple(evidence))


def _stalled(facts: Facts) -> Explanation | None:
    activity = facts.activity
    if activity is None or not activity.started:
        return None
    # of this attempt: what is left of the one before says nothing
    signs = [moment for moment in (activity.started_at, activity.heartbeat_at) if moment is not None]
    if not signs or facts.now - max(signs) <= SILENCE:
        return None
    silent = facts.now - max(signs)
    rest = HEARTBEAT_TIMEOUT - silent
    summary = (
        f"The worker {activity.worker} has not been heard of for {how_long(silent.total_seconds())}: "
        f"another one goes on with the job in about {how_long(max(rest.total_seconds(), 1))}"
    )
    return Explanation(
        Cause.HEARTBEAT_STALLED, summary, max(signs), Mender.NOBODY, tuple(_activity_evidence(activity))
    )


def _claiming(facts: Facts) -> Explanation | None:
    task, job = facts.workflow.task, facts.job
    if job.status is not Status.PENDING:
        return None
    since = job.asked_at or job.created_at if task is None else task.scheduled_at
    if facts.now - (job.asked_at or job.created_at) < PATIENT_STARTS:
        return Explanation(Cause.STARTING, "A worker is taking it up", since, Mender.NOBODY)
    summary = "A worker took it up and has not got any further: it may not reach the database"
    return Explanation(Cause.STARTING, summary, since, Mender.OPERATOR)


def _working(facts: Facts) -> Explanation:
    activity = facts.activity
    stage = None if activity is None else facts.stage(activity.key)
    if activity is None or stage is None:
        return Explanation(Cause.WORKING, "Working: between two stages", facts.job.started_at, Mender.NOBODY)
    began = _began(facts, stage)
    evidence = [Evidence("progress", round(stage.progress, 4)), *_activity_evidence(activity)]
    evidence.append(Evidence("stage began", began))
    evidence += [
        Evidence(name, value)
        for name, value in stage.params.items()
        if isinstance(value, int | float | str) and value != ""
    ]
    summary = f"Working: {stage.progress:.0%} of {stage.name}".replace("%", " %")
    passed = (facts.now - began).total_seconds()
    if 0 < stage.progress < 1 and passed > 0:
        rate = stage.progress / passed
        left = (1 - stage.progress) / rate
        evidence += [
            Evidence("progress per second", float(f"{rate:.3g}")),
            Evidence("seconds left, about", round(left)),
        ]
        summary += f", about {how_long(left)} left"
    if facts.job.last_line_at is not None:
        evidence.append(Evidence("last line in the log", facts.job.last_line_at))
    return Explanation(Cause.WORKING, summary, began, Mender.NOBODY, tuple(evidence))


def _began(facts: Facts, stage: StageFacts) -> datetime:
    """When the stage before it ended; when the run began for the first one."""
    before = facts.job.stages[: facts.job.stages.index(stage)]
    ended = [each.updated_at for each in before if each.status is Status.SUCCESS]
    return max(ended, default=facts.job.started_at or facts.job.created_at)


RULES: Sequence[Callable[[Facts], Explanation | None]] = (
    _ended,
    _not_started,
    _cancelling,
    _paused,
    _temporal_away,
    _not_known_to_temporal,
    _gone,
    _workflow_failing,
    _no_worker,
    _waiting_for_turn,
    _retrying,
    _stalled,
    _delayed,
    _waiting,
    _claiming,
)
"""In this order: the first that fits speaks; if none does, the job is being worked on."""


def explain(facts: Facts) -> Explanation:
    """Why the job is where it is."""
    for rule in RULES:
        found = rule(facts)
        if found is not None:
            return found
    return _working(facts)
