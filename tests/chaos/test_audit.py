"""The audit of a chaos run finds what is lost, doubled, wrong or stuck, and nothing where all is well."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest

from jobs import lines
from jobs.status import Status
from tests.chaos import report
from tests.chaos.audit import Audit, Finding, Flaw, ends
from tests.chaos.client import Figures
from tests.chaos.facts import Execution, Facts, JobFacts, LogLine, NotQuiet
from tests.chaos.makers import Populate, Sync
from tests.chaos.plan import Kind, Plan, Wish, make
from tests.chaos.workload import Notes, workflow_id
from workflows.registry import JOB_TYPES

PLAN = make(11, 30)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
EFFECTS = {
    "populate_captures_collection": ["Added 7 captures to source image collection #1 Set"],
    "regroup_events": ["Deployment #1 Station now has 2 events after regrouping."],
    "data_storage_sync": [
        "Finished syncing captures for deployment #1 Station",
        "Deployment #1 Station now has 2 events after sync regroup.",
    ],
}
"""What the effects of a job of each type log."""
CLOSED = {Status.SUCCESS: "COMPLETED", Status.FAILURE: "FAILED", Status.REVOKED: "CANCELED"}


def runs(wish: Wish) -> int:
    return 2 if wish.kind is Kind.RETRIED else 1


def status_of(wish: Wish) -> Status:
    return min(ends(wish))  # REVOKED before SUCCESS


def log(wish: Wish, status: Status) -> list[LogLine]:
    job_id, said = wish.number, []
    for run in range(1, runs(wish) + 1):
        told = [
            ("INFO", lines.running(job_id, wish.name)),
            ("INFO", f"Changing status of job {job_id} to STARTED"),
        ]
        if status is Status.SUCCESS:
            told += [("ERROR", error) for error in wish.work.errors]
            told += [("INFO", line) for line in EFFECTS[wish.work.job_type]]
        if wish.work.cause is not None:
            told.append(("ERROR", lines.failed(job_id, wish.name, wish.work.cause)))
        told.append(("INFO", lines.changing_status(job_id, status)))
        said += [
            LogLine(run, level, message, NOON + timedelta(seconds=10 * run + place))
            for place, (level, message) in enumerate(told)
        ]
    return said


def stages_of(wish: Wish, status: Status) -> dict[str, str]:
    """States of the stages of a job that ended so: if it was not well, in its first one."""
    first, *others = (stage.key for stage in JOB_TYPES[wish.work.job_type].stages)
    return {first: status, **dict.fromkeys(others, status if status is Status.SUCCESS else Status.CREATED)}


def job_of(wish: Wish) -> JobFacts:
    """The job as it is when all went well."""
    status = status_of(wish)
    executions = [
        Execution(f"run {run}", CLOSED[status], "JobFailed" if status is Status.FAILURE else None)
        for run in range(1, runs(wish) + 1)
    ]
    return JobFacts(
        id=wish.number,
        name=wish.name,
        status=status,
        run=runs(wish),
        started=True,
        finished=True,
        workflow_id=workflow_id(wish) if wish.kind is Kind.PROGRAM else f"job-{wish.number}",
        workflow_run_id=executions[-1].run_id,
        stages=stages_of(wish, status),
        lines=log(wish, status),
        over_rest=status,
        executions=executions,
    )


def facts_of(plan: Plan) -> Facts:
    effects = {
        wish.number: "whole" if status_of(wish) is Status.SUCCESS else "before" for wish in plan.wishes
    }
    before = {wish.number: "before" for wish in plan.wishes}
    return Facts([job_of(wish) for wish in plan.wishes], before, effects)


REFERENCE = replace(facts_of(PLAN), effects={wish.number: "whole" for wish in PLAN.wishes})


def wish_of(kind: Kind, job_type: str = Populate.key) -> Wish:
    return next(wish for wish in PLAN.wishes if wish.kind is kind and wish.work.job_type == job_type)


def audit(facts: Facts) -> list[Finding]:
    return Audit(PLAN, facts, REFERENCE).findings()


Change = Callable[[JobFacts], JobFacts]


def tampered(kind: Kind, change: Change, job_type: str = Populate.key) -> Facts:
    """All is well but for one job of that kind."""
    number = wish_of(kind, job_type).number
    facts = facts_of(PLAN)
    facts.jobs = [change(job) if job.id == number else job for job in facts.jobs]
    return facts


def flaws(facts: Facts) -> set[tuple[Flaw, int | None]]:
    return {(finding.flaw, finding.number) for finding in audit(facts)}


def test_nothing_is_found_where_all_is_well() -> None:
    assert audit(facts_of(PLAN)) == []


def test_a_job_that_is_not_there_is_lost() -> None:
    facts = facts_of(PLAN)
    lost = facts.jobs.pop(4)

    assert flaws(facts) == {(Flaw.LOST, lost.id)}


def test_a_job_that_is_there_twice_is_doubled() -> None:
    facts = facts_of(PLAN)
    facts.jobs.append(replace(facts.jobs[4], id=9000))

    assert (Flaw.DOUBLED, facts.jobs[4].id) in flaws(facts)


def test_a_job_that_nobody_asked_for_is_found() -> None:
    facts = facts_of(PLAN)
    facts.jobs.append(replace(facts.jobs[4], name="Nobody's"))

    assert flaws(facts) == {(Flaw.DOUBLED, None)}


def again(start: str) -> Change:
    """The job with each line that begins so written twice."""

    def change(job: JobFacts) -> JobFacts:
        return replace(
            job, lines=[line for line in job.lines for _ in range(1 + line.message.startswith(start))]
        )

    return change


def without(start: str) -> Change:
    def change(job: JobFacts) -> JobFacts:
        return replace(job, lines=[line for line in job.lines if not line.message.startswith(start)])

    return change


def ended(status: str, failure: str | None = None) -> Change:
    """The job with its newest workflow in that state."""

    def change(job: JobFacts) -> JobFacts:
        newest = replace(job.executions[-1], status=status, failure=failure)
        return replace(job, executions=[*job.executions[:-1], newest])

    return change


def set_to(**values: object) -> Change:
    return lambda job: replace(job, **values)  # type: ignore[arg-type]


FLAWS: dict[str, tuple[Kind, Change, Flaw]] = {
    "an effect that was made twice": (Kind.PLAIN, again("Added"), Flaw.DOUBLED),
    "a run that was begun twice": (Kind.PLAIN, again("Running job"), Flaw.DOUBLED),
    "a run that ended twice": (Kind.PROGRAM, again("Changing status"), Flaw.DOUBLED),
    "a double click that ran twice": (Kind.TWICE, set_to(run=2), Flaw.DOUBLED),
    "a success without its effect": (Kind.PLAIN, without("Added"), Flaw.LOST),
    "a retry that never was": (Kind.RETRIED, set_to(run=1), Flaw.LOST),
    "a run without a beginning": (Kind.DELAYED, without("Running job"), Flaw.WRONG),
    "a run without an end": (Kind.DELAYED, without("Changing status"), Flaw.WRONG),
    "a state of the wrong kind": (Kind.PLAIN, set_to(status="REVOKED"), Flaw.WRONG),
    "a cancelled job that succeeded": (Kind.CANCELLED_WAITING, set_to(status="SUCCESS"), Flaw.WRONG),
    "a failure without its cause": (Kind.BAD, without("Job #"), Flaw.WRONG),
    "a failure whose cause is said twice": (Kind.BAD, again("Job #"), Flaw.WRONG),
    "an end without a time": (Kind.PLAIN, set_to(finished=False), Flaw.WRONG),
    "a stage that goes on": (Kind.PLAIN, set_to(stages={Populate.key: "STARTED"}), Flaw.WRONG),
    "another state over REST": (Kind.PLAIN, set_to(over_rest="STARTED"), Flaw.WRONG),
    "a job that is not over": (Kind.PAUSED, set_to(status="STARTED"), Flaw.STUCK),
    "a job that waits": (Kind.PROBE, set_to(status="PENDING"), Flaw.STUCK),
    "a workflow that runs on": (Kind.PLAIN, ended("RUNNING"), Flaw.STUCK),
    "a workflow that says otherwise": (Kind.PLAIN, ended("TERMINATED"), Flaw.WRONG),
    "a workflow that failed by a defect": (Kind.BAD, ended("FAILED", "KeyError"), Flaw.WRONG),
    "a cancelled workflow that completed": (Kind.CANCELLED_WAITING, ended("COMPLETED"), Flaw.WRONG),
    "a workflow that nobody knows": (Kind.PROGRAM, set_to(executions=[]), Flaw.WRONG),
    "an id that is not comparable": (Kind.PLAIN, set_to(id=9000), Flaw.WRONG),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_each_flaw_is_found_on_the_job_that_has_it(flaw: str) -> None:
    kind, change, expected = FLAWS[flaw]

    found = flaws(tampered(kind, change))

    assert (expected, wish_of(kind).number) in found
    assert {number for _, number in found} == {wish_of(kind).number}


def test_a_wrong_member_is_found() -> None:
    facts = facts_of(PLAN)
    number = wish_of(Kind.PLAIN).number
    facts.effects[number] = "one other member"

    assert flaws(facts) == {(Flaw.WRONG, number)}


@pytest.mark.parametrize("kind", [Kind.CANCELLED_WAITING, Kind.CANCELLED_SOMETIME, Kind.BAD])
def test_an_effect_of_a_job_that_had_to_leave_everything_as_it_was_is_found(kind: Kind) -> None:
    facts = facts_of(PLAN)
    number = wish_of(kind).number
    facts.effects[number] = "whole"

    assert flaws(facts) == {(Flaw.WRONG, number)}


def test_a_cancelled_job_whose_stage_was_done_must_show_the_whole_effect() -> None:
    number = wish_of(Kind.CANCELLED_SOMETIME).number

    def done(job: JobFacts) -> JobFacts:
        line = replace(job.lines[-1], message=EFFECTS[Populate.key][0])
        return replace(job, stages={Populate.key: "SUCCESS"}, lines=[*job.lines, line])

    facts = tampered(Kind.CANCELLED_SOMETIME, done)
    assert flaws(facts) == {(Flaw.WRONG, number)}

    facts.effects[number] = "whole"
    assert audit(facts) == []


def test_a_cancelled_job_whose_stage_was_done_must_have_said_so() -> None:
    facts = tampered(Kind.CANCELLED_SOMETIME, set_to(stages={Populate.key: "SUCCESS"}))
    number = wish_of(Kind.CANCELLED_SOMETIME).number
    facts.effects[number] = "whole"

    assert flaws(facts) == {(Flaw.LOST, number)}


SYNC_FLAWS: dict[str, tuple[Kind, Change, Flaw]] = {
    "a listing that was ended twice": (Kind.PLAIN, again("Finished syncing"), Flaw.DOUBLED),
    "a grouping that was made twice": (Kind.RETRIED, again("Deployment #1"), Flaw.DOUBLED),
    "a listing that was not ended": (Kind.RETRIED, without("Finished syncing"), Flaw.LOST),
    "a grouping that was not made": (Kind.PLAIN, without("Deployment #1"), Flaw.LOST),
    "a bad file that is named twice": (Kind.PLAIN, again("No timestamp"), Flaw.WRONG),
    "a bad file that is not named": (Kind.DELAYED, without("No timestamp"), Flaw.WRONG),
    "a last stage that was left out": (
        Kind.PROGRAM,
        lambda job: replace(job, stages={**job.stages, "measure_captures": "CREATED"}),
        Flaw.WRONG,
    ),
}


@pytest.mark.parametrize("flaw", SYNC_FLAWS)
def test_each_flaw_of_a_job_with_several_effects_is_found(flaw: str) -> None:
    kind, change, expected = SYNC_FLAWS[flaw]

    assert flaws(tampered(kind, change, Sync.key)) == {(expected, wish_of(kind, Sync.key).number)}


def test_an_error_of_a_run_that_never_was_is_found() -> None:
    def more(job: JobFacts) -> JobFacts:
        return replace(job, lines=[*job.lines, replace(job.lines[-1], run=0, level="ERROR", message="Oh")])

    assert flaws(tampered(Kind.PLAIN, more)) == {(Flaw.WRONG, wish_of(Kind.PLAIN).number)}


def test_a_job_cancelled_before_any_worker_had_it_needs_no_workflow() -> None:
    def never_claimed(job: JobFacts) -> JobFacts:
        return replace(
            without("Running job")(job), started=False, workflow_run_id=None, executions=[], stages={}
        )

    assert audit(tampered(Kind.CANCELLED_WAITING, never_claimed)) == []


def test_a_click_that_came_after_the_end_of_the_first_run_may_run_once_more() -> None:
    wish = wish_of(Kind.TWICE)
    facts = tampered(
        Kind.TWICE,
        lambda job: replace(
            job,
            run=2,
            lines=[*job.lines, *(replace(line, run=2) for line in job.lines)],
            executions=[Execution("run 0", "COMPLETED"), *job.executions],
        ),
    )
    first_end = next(
        line.at
        for job in facts.jobs
        if job.id == wish.number
        for line in job.lines
        if "SUCCESS" in line.message
    )
    facts.clicked_by = {wish.number: first_end - timedelta(seconds=1)}
    assert flaws(facts) == {(Flaw.DOUBLED, wish.number)}

    facts.clicked_by = {wish.number: first_end + timedelta(seconds=1)}
    assert audit(facts) == []


def test_what_a_client_could_not_get_answered_is_stuck() -> None:
    facts = facts_of(PLAN)
    facts.failed = {3: "Unanswered: POST /jobs/3/run/"}

    assert flaws(facts) == {(Flaw.STUCK, 3)}


def test_a_change_after_the_end_and_an_odd_answer_are_found() -> None:
    facts = facts_of(PLAN)
    facts.changed_late, facts.odd_answers = ["job_logs"], ["GET /jobs/: 500"]

    assert [finding.flaw for finding in audit(facts)] == [Flaw.WRONG, Flaw.WRONG]


MOVING = NotQuiet(900.0, ["Chaos 3: job 3 is STARTED: A worker is at it"])


def under_way(status: str) -> Change:
    """The job as it is in the middle: nothing of its end is there yet."""

    def change(job: JobFacts) -> JobFacts:
        early = [line for line in job.lines if not line.message.startswith(("Changing status", "Added"))]
        executions = [replace(job.executions[0], status="RUNNING")]
        return replace(
            job, status=status, run=1, finished=False, lines=early, executions=executions, stages={}
        )

    return change


@pytest.mark.parametrize("kind", [*Kind])
@pytest.mark.parametrize("status", ["PENDING", "STARTED", "CANCELING"])
def test_a_job_that_still_moves_is_neither_lost_nor_stuck(kind: Kind, status: str) -> None:
    facts = tampered(kind, under_way(status))
    assert flaws(facts) != set()

    facts.not_quiet = MOVING
    assert audit(facts) == []


def test_a_job_of_a_program_that_no_worker_has_taken_yet_is_not_lost() -> None:
    number = wish_of(Kind.PROGRAM).number
    facts = facts_of(PLAN)
    facts.jobs = [job for job in facts.jobs if job.id != number]
    assert flaws(facts) == {(Flaw.LOST, number)}

    facts.not_quiet = MOVING
    assert audit(facts) == []


def test_what_could_not_be_asked_and_what_changes_on_is_no_flaw_while_it_moves() -> None:
    facts = facts_of(PLAN)
    facts.failed, facts.changed_late = {3: "Unanswered: POST /jobs/3/run/"}, ["job_logs"]
    facts.effects[wish_of(Kind.PLAIN).number] = "half of it"
    facts.not_quiet = MOVING

    assert audit(facts) == []


def test_what_no_waiting_could_mend_is_found_while_it_moves() -> None:
    facts = tampered(Kind.PLAIN, again("Added"))
    number = wish_of(Kind.PLAIN).number
    gone = facts.jobs.pop(next(place for place, job in enumerate(facts.jobs) if job.id != number))
    facts.made = {gone.id}
    facts.jobs.append(replace(facts.jobs[-1], id=9000, name="Nobody's"))
    facts.odd_answers = ["GET /jobs/: 500"]
    facts.not_quiet = MOVING

    expected = {(Flaw.LOST, gone.id), (Flaw.DOUBLED, number), (Flaw.DOUBLED, None), (Flaw.WRONG, None)}
    assert flaws(facts) == expected


@pytest.mark.parametrize(
    ("findings", "not_quiet", "verdict", "status"),
    [
        ([], None, "nothing was lost", 0),
        ([Finding(Flaw.LOST, 4, "gone")], None, "FAILED", 1),
        ([], MOVING, "NOT QUIET IN TIME: nothing can be said", 3),
        ([Finding(Flaw.DOUBLED, 4, "twice")], MOVING, "FAILED", 1),
    ],
)
def test_each_outcome_has_its_word_and_its_status(
    findings: list[Finding], not_quiet: NotQuiet | None, verdict: str, status: int
) -> None:
    made = report_of(replace(facts_of(PLAN), not_quiet=not_quiet), findings)

    assert (made.verdict, made.exit_status, made.clean) == (verdict, status, status == 0)
    assert ("moving: Chaos 3: job 3 is STARTED: A worker is at it" in made.as_text()) is bool(not_quiet)
    assert ("1 still moving after 900 s" in made.as_text()) is bool(not_quiet)
    assert json.loads(made.as_json())["not_quiet"] == (None if not_quiet is None else asdict(not_quiet))


def report_of(facts: Facts, findings: list[Finding], notes: Notes | None = None) -> report.Report:
    return report.make(
        PLAN,
        facts,
        findings,
        faults={"kill worker": 1},
        notes=notes or Notes(),
        figures=Figures(answers=9, slow=1),
        ended_by_themselves={},
        quiet_after=1.0,
        workflows_closed_after=0.0,
        undisturbed_seconds=9.0,
    )


def test_the_report_counts_jobs_and_not_findings() -> None:
    findings = [
        Finding(Flaw.WRONG, 3, "one thing"),
        Finding(Flaw.WRONG, 3, "another"),
        Finding(Flaw.LOST, 4, "gone"),
        Finding(Flaw.WRONG, None, "job_logs changed"),
    ]
    notes = Notes(recoveries=[(fault, 1.0 + place) for place, fault in enumerate(PLAN.faults)])

    made = report_of(facts_of(PLAN), findings, notes)

    assert (made.lost, made.doubled, made.wrong, made.stuck, made.clean) == (1, 0, 2, 0, False)
    assert sum(made.in_a_final_state.values()) == made.jobs_asked_for == len(PLAN.wishes)
    assert "lost: Chaos 4: gone" in made.as_text()


def test_recovery_is_told_by_its_middle_its_tail_and_its_end() -> None:
    told = report.recovery([float(second) for second in range(1, 101)])

    assert told == report.Recovery(p50=50.0, p95=95.0, longest=100.0, count=100)
    assert report.recovery([]) is None
