"""Why a job is where it is: the first rule that fits what is known of it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from diagnosis.explanation import Actor, Cause, Evidence, Explanation
from diagnosis.facts import SILENT, ActivityFacts, Facts, QueueFacts, StageFacts
from diagnosis.wording import activity_evidence, counted, how_long, plain, queue_evidence
from jobs import delay
from jobs.errors import BusyError, ServiceUnavailable
from jobs.status import FINAL, Status

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
WAITS_FOR_TURN = frozenset(error.__name__ for error in BusyError.__subclasses__())
"""The failures of attempts that only found another job at the same thing."""
MANY_ATTEMPTS = 5
"""What has failed so often will hardly mend itself."""

# each rule returns an explanation, or None if it does not fit ---------------------------------------------------


def _ended(facts: Facts) -> Explanation | None:
    job = facts.job
    if job.status not in FINAL:
        return None
    if job.status is Status.SUCCESS:
        return Explanation(Cause.ENDED, "Done", job.finished_at, Actor.NOBODY)
    if job.status is Status.REVOKED:
        return Explanation(Cause.ENDED, "Cancelled: run it again to start over", job.finished_at, Actor.OWNER)
    reason = plain(job.last_error or "the log does not say why")
    return Explanation(
        Cause.ENDED, f"Failed: {reason}", job.finished_at, Actor.OWNER, (Evidence("last error", reason),)
    )


def _not_started(facts: Facts) -> Explanation | None:
    if facts.job.status.is_active:
        return None
    summary = "Not started yet: nobody has asked for it to run"
    return Explanation(Cause.NOT_STARTED, summary, facts.job.created_at, Actor.OWNER)


def _cancelling(facts: Facts) -> Explanation | None:
    by_temporal = facts.workflow.cancel_requested and facts.workflow.is_open
    if facts.job.status is not Status.CANCELING and not by_temporal:
        return None
    asked = facts.job.asked_at if facts.job.status is Status.CANCELING else None
    evidence = [Evidence("Temporal knows of it", "yes" if by_temporal else "not yet")]
    if facts.activity is not None:
        evidence += activity_evidence(facts.activity)
    summary = "Cancelling: it ends within a few seconds, and nothing more is written for it"
    return Explanation(Cause.CANCELLING, summary, asked, Actor.NOBODY, tuple(evidence))


def _paused(facts: Facts) -> Explanation | None:
    activity = facts.activity
    if facts.job.paused_at is not None:
        finishing = activity is not None and activity.started
        held = (
            "what is under way is being finished" if finishing else "nothing new is begun until it is resumed"
        )
        return Explanation(Cause.PAUSED, f"Paused: {held}", facts.job.paused_at, Actor.OWNER)
    if facts.workflow.status != "PAUSED" and not (activity is not None and activity.paused):
        return None
    evidence = activity_evidence(activity) if activity is not None else []
    summary = "Paused with Temporal's own tools: an operator must let it go on"
    return Explanation(Cause.PAUSED, summary, None, Actor.OPERATOR, tuple(evidence))


def _temporal_away(facts: Facts) -> Explanation | None:
    reason = facts.temporal.unreachable
    if reason is None:
        return None
    evidence = (Evidence("Temporal", plain(reason)),)
    if facts.job.status is Status.PENDING:
        summary = "Waiting for Temporal, which cannot be reached: the job starts by itself when it is back"
        return Explanation(Cause.WAITING_FOR_TEMPORAL, summary, facts.job.asked_at, Actor.OPERATOR, evidence)
    summary = "Temporal cannot be reached: the job goes on when it is back"
    return Explanation(Cause.TEMPORAL_UNREACHABLE, summary, None, Actor.OPERATOR, evidence)


def _not_known_to_temporal(facts: Facts) -> Explanation | None:
    workflow = facts.temporal.workflow
    if facts.job.status is not Status.PENDING or (workflow is not None and workflow.is_open):
        return None
    asked = facts.job.asked_at or facts.job.created_at
    if facts.now - asked < PATIENT_STARTS:
        return Explanation(Cause.WAITING_FOR_TEMPORAL, "Being started", asked, Actor.NOBODY)
    waited = how_long((facts.now - asked).total_seconds())
    summary = f"Temporal has not taken the start for {waited}: ask an operator to run nightjar doctor"
    return Explanation(Cause.WAITING_FOR_TEMPORAL, summary, asked, Actor.OPERATOR)


def _gone(facts: Facts) -> Explanation | None:
    workflow = facts.temporal.workflow
    if workflow is not None and workflow.is_open:
        return None
    if workflow is None:
        summary = "Its workflow is not there any more: the job is closed within about 30 s"
        return Explanation(Cause.EXECUTION_GONE, summary, None, Actor.NOBODY)
    word = workflow.status.lower().replace("_", " ")
    summary = f"Its workflow ended ({word}) without a word: the job is closed within about 30 s"
    evidence = (Evidence("workflow", workflow.status),)
    return Explanation(Cause.EXECUTION_GONE, summary, workflow.closed_at, Actor.NOBODY, evidence)


def _workflow_failing(facts: Facts) -> Explanation | None:
    task = facts.workflow.task
    if task is None or task.attempt < 2 or not task.failure:
        return None
    reason = plain(task.failure)
    evidence = (Evidence("last error", reason), Evidence("attempt", task.attempt))
    summary = f"The workers' code does not fit this job: ask an operator ({reason})"
    return Explanation(Cause.WORKFLOW_TASK_FAILING, summary, task.scheduled_at, Actor.OPERATOR, evidence)


def _no_worker(facts: Facts) -> Explanation | None:
    waits = facts.waits_since
    if waits is None or not _unattended(facts, *waits):
        return None
    queue, since = waits
    summary = f"No worker is running: ask an operator to start one (queue {queue.name})"
    evidence = tuple(queue_evidence(queue, facts.now))
    return Explanation(Cause.NO_WORKER, summary, since, Actor.OPERATOR, evidence)


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
    if activity is None or activity.failure_type not in WAITS_FOR_TURN:
        return None
    if activity.started and not _may_fail_again(activity, facts.now):
        return None
    stage = facts.stage(activity.key)
    since = None if stage is None else _began(facts, stage)
    evidence = [Evidence("stage", activity.key)]
    if activity.next_attempt_at is not None:
        evidence.append(Evidence("looks again", activity.next_attempt_at))
    return Explanation(Cause.WAITING_FOR_TURN, plain(activity.failure), since, Actor.NOBODY, tuple(evidence))


def _retrying(facts: Facts) -> Explanation | None:
    activity = facts.activity
    if activity is None or activity.attempt < 2 or not activity.failure:
        return None
    if activity.started and not _may_fail_again(activity, facts.now):
        return None
    reason, due = plain(activity.failure), activity.next_attempt_at
    wait = 0.0 if due is None else (due - facts.now).total_seconds()
    when = f"in {how_long(wait)}" if wait > 0 and not activity.started else "now"
    evidence = activity_evidence(activity)
    if due is not None and not activity.started:
        evidence.append(Evidence("next attempt", due))
    if activity.failure_type == ServiceUnavailable.__name__:
        summary = f"{reason}. Trying again {when} (attempt {activity.attempt})"
        return Explanation(
            Cause.EXTERNAL_SERVICE_DOWN, summary, _failing_since(facts), Actor.SERVICE, tuple(evidence)
        )
    summary = f"Trying again {when}: {reason} (attempt {activity.attempt})"
    actor = Actor.OPERATOR if activity.attempt > MANY_ATTEMPTS else Actor.NOBODY
    return Explanation(Cause.RETRYING, summary, _failing_since(facts), actor, tuple(evidence))


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
    evidence = (Evidence("jobs asked for earlier, not over yet", before), *queue_evidence(queue, facts.now))
    if facts.now - since < AT_ONCE and not queue.backlog:
        return Explanation(Cause.STARTING, "Being handed to a worker", since, Actor.NOBODY, evidence)
    summary = f"Waiting behind {counted(before, 'job')}" if before else "Waiting for a worker that is busy"
    return Explanation(Cause.WAITING_BEHIND_OTHERS, summary, since, Actor.NOBODY, evidence)


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
    return Explanation(Cause.DELAYED, summary, job.started_at, Actor.NOBODY, tuple(evidence))


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
        Cause.HEARTBEAT_STALLED, summary, max(signs), Actor.NOBODY, tuple(activity_evidence(activity))
    )


def _claiming(facts: Facts) -> Explanation | None:
    task, job = facts.workflow.task, facts.job
    if job.status is not Status.PENDING:
        return None
    since = job.asked_at or job.created_at if task is None else task.scheduled_at
    if facts.now - (job.asked_at or job.created_at) < PATIENT_STARTS:
        return Explanation(Cause.STARTING, "A worker is taking it up", since, Actor.NOBODY)
    summary = "A worker took it up and has not got any further: it may not reach the database"
    return Explanation(Cause.STARTING, summary, since, Actor.OPERATOR)


def _working(facts: Facts) -> Explanation:
    activity = facts.activity
    stage = None if activity is None else facts.stage(activity.key)
    if activity is None or stage is None:
        return Explanation(Cause.WORKING, "Working: between two stages", facts.job.started_at, Actor.NOBODY)
    began = _began(facts, stage)
    evidence = [Evidence("progress", round(stage.progress, 4)), *activity_evidence(activity)]
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
    return Explanation(Cause.WORKING, summary, began, Actor.NOBODY, tuple(evidence))


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
