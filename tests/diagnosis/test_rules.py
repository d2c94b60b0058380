"""Every cause, by the facts that it stands for; which one speaks if several fit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from diagnosis.explanation import Actor, Cause, Explanation
from diagnosis.facts import (
    ActivityFacts,
    Facts,
    JobFacts,
    Poller,
    QueueFacts,
    StageFacts,
    TemporalFacts,
    WorkflowFacts,
    WorkflowTaskFacts,
)
from diagnosis.rules import explain
from diagnosis.wording import how_long, plain
from jobs.errors import CaptureSetBusy, StationBusy
from jobs.status import Status

NOW = datetime(2026, 7, 1, 22, 0, tzinfo=UTC)
KEY = "populate"


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def poller(seconds_ago: float) -> Poller:
    return Poller("17@moth", ago(seconds_ago))


ATTENDED = QueueFacts("nightjar-jobs", (poller(30),))
NOBODY = QueueFacts("nightjar-jobs")
STAGE = StageFacts(KEY, "Populate", Status.STARTED, 0.42, ago(1), {"Captures added": 420})
PENDING = JobFacts(Status.PENDING, created_at=ago(3600), asked_at=ago(60))
STARTED = JobFacts(
    Status.STARTED, created_at=ago(3600), asked_at=ago(61), started_at=ago(60), stages=(STAGE,)
)
ALIVE = ActivityFacts(KEY, started=True, started_at=ago(59), heartbeat_at=ago(1), worker="17@moth")
QUEUED = ActivityFacts(KEY, started=False, scheduled_at=ago(20))
FAILED = ActivityFacts(
    KEY,
    started=False,
    attempt=3,
    scheduled_at=ago(2),
    next_attempt_at=ago(-8),
    failure_type="OperationalError",
    failure="connection refused\nSELECT * FROM moths",
)
BUSY = replace(FAILED, failure_type="StationBusy", failure=str(StationBusy(12, "#4 Station 1")))
SET_BUSY = replace(FAILED, failure_type="CaptureSetBusy", failure=str(CaptureSetBusy(12, "#4 Set")))
DELAY = StageFacts("delay", "Delay", Status.STARTED, 0.25, ago(5))


def said(
    job: JobFacts,
    *,
    workflows: QueueFacts = ATTENDED,
    activities: QueueFacts = ATTENDED,
    unreachable: str | None = None,
    known: bool = True,
    **workflow: Any,
) -> Explanation:
    """The explanation of a job whose workflow is known to Temporal, unless it is said otherwise."""
    if "activity" in workflow:
        workflow["activities"] = (workflow.pop("activity"),)
    found = WorkflowFacts(**workflow) if known else None
    temporal = TemporalFacts(unreachable, found, workflows, {KEY: activities})
    return explain(Facts(NOW, job, temporal))


def task(waits: float, **more: Any) -> WorkflowTaskFacts:
    return WorkflowTaskFacts(started=False, scheduled_at=ago(waits), **more)


TABLE: dict[str, tuple[Explanation, Cause, str, Actor, datetime | None]] = {
    "created": (
        said(replace(PENDING, status=Status.CREATED)),
        Cause.NOT_STARTED,
        "Not started yet: nobody has asked for it to run",
        Actor.OWNER,
        ago(3600),
    ),
    "done": (
        said(replace(STARTED, status=Status.SUCCESS, finished_at=ago(4))),
        Cause.ENDED,
        "Done",
        Actor.NOBODY,
        ago(4),
    ),
    "failed": (
        said(replace(STARTED, status=Status.FAILURE, finished_at=ago(4), last_error="no set\nat line 3")),
        Cause.ENDED,
        "Failed: no set",
        Actor.OWNER,
        ago(4),
    ),
    "revoked": (
        said(replace(STARTED, status=Status.REVOKED, finished_at=ago(4))),
        Cause.ENDED,
        "Cancelled: run it again to start over",
        Actor.OWNER,
        ago(4),
    ),
    "cancelling, even while Temporal is away": (
        said(replace(STARTED, status=Status.CANCELING, asked_at=ago(1)), unreachable="down", known=False),
        Cause.CANCELLING,
        "Cancelling: it ends within a few seconds, and nothing more is written for it",
        Actor.NOBODY,
        ago(1),
    ),
    "cancelling by Temporal's tools": (
        said(STARTED, cancel_requested=True, activity=ALIVE),
        Cause.CANCELLING,
        "Cancelling: it ends within a few seconds, and nothing more is written for it",
        Actor.NOBODY,
        None,
    ),
    "paused, and nobody works": (
        said(replace(STARTED, paused_at=ago(9))),
        Cause.PAUSED,
        "Paused: nothing new is begun until it is resumed",
        Actor.OWNER,
        ago(9),
    ),
    "paused, and a worker finishes something": (
        said(replace(STARTED, paused_at=ago(9)), activity=ALIVE),
        Cause.PAUSED,
        "Paused: what is under way is being finished",
        Actor.OWNER,
        ago(9),
    ),
    "paused by Temporal's tools": (
        said(STARTED, activity=replace(QUEUED, paused=True)),
        Cause.PAUSED,
        "Paused with Temporal's own tools: an operator must let it go on",
        Actor.OPERATOR,
        None,
    ),
    "pending while Temporal is away": (
        said(PENDING, unreachable="tcp connect error", known=False),
        Cause.WAITING_FOR_TEMPORAL,
        "Waiting for Temporal, which cannot be reached: the job starts by itself when it is back",
        Actor.OPERATOR,
        ago(60),
    ),
    "started while Temporal is away": (
        said(STARTED, unreachable="tcp connect error", known=False),
        Cause.TEMPORAL_UNREACHABLE,
        "Temporal cannot be reached: the job goes on when it is back",
        Actor.OPERATOR,
        None,
    ),
    "asked for a moment ago": (
        said(replace(PENDING, asked_at=ago(1)), known=False),
        Cause.WAITING_FOR_TEMPORAL,
        "Being started",
        Actor.NOBODY,
        ago(1),
    ),
    "never taken by Temporal": (
        said(PENDING, known=False),
        Cause.WAITING_FOR_TEMPORAL,
        "Temporal has not taken the start for 60 s: ask an operator to run nightjar doctor",
        Actor.OPERATOR,
        ago(60),
    ),
    "terminated": (
        said(STARTED, status="TERMINATED", closed_at=ago(7)),
        Cause.EXECUTION_GONE,
        "Its workflow ended (terminated) without a word: the job is closed within about 30 s",
        Actor.NOBODY,
        ago(7),
    ),
    "forgotten by Temporal": (
        said(STARTED, known=False),
        Cause.EXECUTION_GONE,
        "Its workflow is not there any more: the job is closed within about 30 s",
        Actor.NOBODY,
        None,
    ),
    "code that does not fit": (
        said(STARTED, task=task(1, attempt=4, failure="Nondeterminism error: x\ny")),
        Cause.WORKFLOW_TASK_FAILING,
        "The workers' code does not fit this job: ask an operator (Nondeterminism error: x)",
        Actor.OPERATOR,
        ago(1),
    ),
    "a step whose worker only fell silent": (
        said(STARTED, task=task(1, attempt=2)),
        Cause.STARTING,
        "Being handed to a worker",
        Actor.NOBODY,
        ago(1),
    ),
    "nobody polls for workflows": (
        said(PENDING, workflows=NOBODY, task=task(1)),
        Cause.NO_WORKER,
        "No worker is running: ask an operator to start one (queue nightjar-jobs)",
        Actor.OPERATOR,
        ago(1),
    ),
    "who polled did so long ago": (
        said(PENDING, workflows=replace(NOBODY, pollers=(poller(80),)), task=task(1)),
        Cause.NO_WORKER,
        "No worker is running: ask an operator to start one (queue nightjar-jobs)",
        Actor.OPERATOR,
        ago(1),
    ),
    "who polled would have taken it": (
        said(PENDING, workflows=ATTENDED, task=task(10)),
        Cause.NO_WORKER,
        "No worker is running: ask an operator to start one (queue nightjar-jobs)",
        Actor.OPERATOR,
        ago(10),
    ),
    "a later step may wait for the worker of the one before": (
        said(STARTED, task=task(8)),
        Cause.WAITING_BEHIND_OTHERS,
        "Waiting for a worker that is busy",
        Actor.NOBODY,
        ago(8),
    ),
    "but not for ever": (
        said(STARTED, task=task(15)),
        Cause.NO_WORKER,
        "No worker is running: ask an operator to start one (queue nightjar-jobs)",
        Actor.OPERATOR,
        ago(15),
    ),
    "nobody polls for activities": (
        said(replace(STARTED, asked_before=12, others_under_way=4), activities=NOBODY, activity=QUEUED),
        Cause.NO_WORKER,
        "No worker is running: ask an operator to start one (queue nightjar-jobs)",
        Actor.OPERATOR,
        ago(20),
    ),
    "behind others": (
        said(
            replace(STARTED, asked_before=12, others_under_way=4),
            activities=replace(ATTENDED, backlog=13, backlog_age=timedelta(seconds=40)),
            activity=QUEUED,
        ),
        Cause.WAITING_BEHIND_OTHERS,
        "Waiting behind 12 jobs",
        Actor.NOBODY,
        ago(20),
    ),
    "behind one other": (
        said(replace(STARTED, asked_before=1, others_under_way=1), activity=QUEUED),
        Cause.WAITING_BEHIND_OTHERS,
        "Waiting behind 1 job",
        Actor.NOBODY,
        ago(20),
    ),
    "behind what was asked for later": (
        said(replace(STARTED, others_under_way=1), activity=QUEUED),
        Cause.WAITING_BEHIND_OTHERS,
        "Waiting for a worker that is busy",
        Actor.NOBODY,
        ago(20),
    ),
    "nobody can be busy": (
        said(replace(STARTED, asked_before=3), activity=QUEUED),
        Cause.NO_WORKER,
        "No worker is running: ask an operator to start one (queue nightjar-jobs)",
        Actor.OPERATOR,
        ago(20),
    ),
    "for its turn": (
        said(STARTED, activity=BUSY),
        Cause.WAITING_FOR_TURN,
        "Waiting for job 12, which works on deployment #4 Station 1",
        Actor.NOBODY,
        ago(60),
    ),
    "for its turn to fill a set": (
        said(STARTED, activity=SET_BUSY),
        Cause.WAITING_FOR_TURN,
        "Waiting for job 12, which works on source image collection #4 Set",
        Actor.NOBODY,
        ago(60),
    ),
    "just handed out": (
        said(
            replace(STARTED, asked_before=12, others_under_way=4),
            activity=replace(QUEUED, scheduled_at=ago(0.1)),
        ),
        Cause.STARTING,
        "Being handed to a worker",
        Actor.NOBODY,
        ago(0.1),
    ),
    "being claimed": (
        said(replace(PENDING, asked_at=ago(1)), task=WorkflowTaskFacts(started=True, scheduled_at=ago(1))),
        Cause.STARTING,
        "A worker is taking it up",
        Actor.NOBODY,
        ago(1),
    ),
    "a claim that gets nowhere": (
        said(PENDING, task=WorkflowTaskFacts(started=True, scheduled_at=ago(50))),
        Cause.STARTING,
        "A worker took it up and has not got any further: it may not reach the database",
        Actor.OPERATOR,
        ago(50),
    ),
    "delayed": (
        said(replace(STARTED, delay=120, stages=(DELAY,))),
        Cause.DELAYED,
        "Delayed: begins in 85 s, as it was asked to",
        Actor.NOBODY,
        ago(60),
    ),
    "retrying": (
        said(STARTED, activity=FAILED),
        Cause.RETRYING,
        "Trying again in 8 s: connection refused (attempt 3)",
        Actor.NOBODY,
        ago(1),
    ),
    "retrying for long": (
        said(STARTED, activity=replace(FAILED, attempt=9)),
        Cause.RETRYING,
        "Trying again in 8 s: connection refused (attempt 9)",
        Actor.OPERATOR,
        ago(1),
    ),
    "an attempt that may fail like those before": (
        said(
            STARTED,
            activity=replace(FAILED, started=True, next_attempt_at=None, started_at=ago(2), worker="17@moth"),
        ),
        Cause.RETRYING,
        "Trying again now: connection refused (attempt 3)",
        Actor.NOBODY,
        ago(1),
    ),
    "somebody else's service": (
        said(
            STARTED,
            activity=replace(
                FAILED, failure_type="ServiceUnavailable", failure="Moth finder does not answer: HTTP 502"
            ),
        ),
        Cause.EXTERNAL_SERVICE_DOWN,
        "Moth finder does not answer: HTTP 502. Trying again in 8 s (attempt 3)",
        Actor.SERVICE,
        ago(1),
    ),
    "a worker that fell silent": (
        said(STARTED, activity=replace(ALIVE, heartbeat_at=ago(7))),
        Cause.HEARTBEAT_STALLED,
        "The worker 17@moth has not been heard of for 7 s: another one goes on with the job in about 3 s",
        Actor.NOBODY,
        ago(7),
    ),
    "an attempt that has not beaten yet": (
        said(STARTED, activity=replace(ALIVE, started_at=ago(1), heartbeat_at=ago(30), attempt=2)),
        Cause.WORKING,
        "Working: 42 % of Populate, about 83 s left",
        Actor.NOBODY,
        ago(60),
    ),
    "a new worker after one that fell silent": (
        said(STARTED, activity=replace(ALIVE, attempt=2, failure_type="Timeout", failure="it fell silent")),
        Cause.WORKING,
        "Working: 42 % of Populate, about 83 s left",
        Actor.NOBODY,
        ago(60),
    ),
    "working": (
        said(STARTED, activity=ALIVE),
        Cause.WORKING,
        "Working: 42 % of Populate, about 83 s left",
        Actor.NOBODY,
        ago(60),
    ),
    "working, at the very beginning": (
        said(replace(STARTED, stages=(replace(STAGE, progress=0.0),)), activity=ALIVE),
        Cause.WORKING,
        "Working: 0 % of Populate",
        Actor.NOBODY,
        ago(60),
    ),
    "working at a second stage": (
        said(
            replace(
                STARTED, stages=(replace(STAGE, key="a", status=Status.SUCCESS, updated_at=ago(21)), STAGE)
            ),
            activity=ALIVE,
        ),
        Cause.WORKING,
        "Working: 42 % of Populate, about 29 s left",
        Actor.NOBODY,
        ago(21),
    ),
    "between two stages": (
        said(STARTED),
        Cause.WORKING,
        "Working: between two stages",
        Actor.NOBODY,
        ago(60),
    ),
}


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE.keys())
def test_the_facts_have_their_explanation(
    case: tuple[Explanation, Cause, str, Actor, datetime | None],
) -> None:
    found, cause, summary, action_by, since = case

    assert (found.cause, found.summary, found.action_by, found.since) == (cause, summary, action_by, since)


def test_every_cause_is_in_the_table() -> None:
    assert {case[1] for case in TABLE.values()} == set(Cause)


def test_the_evidence_says_what_an_explanation_rests_on() -> None:
    working = {each.what: each.value for each in said(STARTED, activity=ALIVE).evidence}
    waiting = {each.what: each.value for each in said(STARTED, activity=QUEUED, workflows=NOBODY).evidence}

    assert working == {
        "progress": 0.42,
        "stage": KEY,
        "attempt": 1,
        "worker": "17@moth",
        "last sign of life": ago(1),
        "stage began": ago(60),
        "Captures added": 420,
        "progress per second": 0.007,
        "seconds left, about": 83,
    }
    assert waiting == {
        "task queue": "nightjar-jobs",
        "waiting in the queue": 0,
        "workers that asked for work in the last minute": "17@moth",
        "last time that a worker asked": ago(30),
    }


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("one\ntwo", "one"),
        ("at https://moth:sphinx@example.org/captures", "at https://***@example.org/captures"),
        (
            "GET https://example.org/a.jpg?X-Signature=abc&k=1 was 403",
            "GET https://example.org/a.jpg?… was 403",
        ),
        ("x" * 400, "x" * 299 + "…"),
    ],
)
def test_an_error_is_told_in_one_line_without_secrets(message: str, words: str) -> None:
    assert plain(message) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0 s"), (8.4, "8 s"), (89, "89 s"), (100, "2 min"), (7200, "2 h"), (400000, "5 days")],
)
def test_lengths_of_time_are_said_as_people_do(seconds: float, words: str) -> None:
    assert how_long(seconds) == words
