"""Compares what there is in the end with what was asked for: nothing lost, doubled, wrong or stuck."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from jobs import lines
from jobs.status import FINAL, Status
from tests.chaos import makers
from tests.chaos.facts import Facts, JobFacts
from tests.chaos.plan import BY_CHANCE, Kind, Plan, Wish
from tests.chaos.work import Left


class Flaw(StrEnum):
    """What may be wrong with a job."""

    LOST = "lost"
    DOUBLED = "doubled"
    WRONG = "wrong"
    STUCK = "stuck"


@dataclass(frozen=True)
class Finding:
    flaw: Flaw
    number: int | None
    """Of the wish; null if it is about no single one."""
    what: str

    def __str__(self) -> str:
        return f"{self.flaw}: {'' if self.number is None else f'Chaos {self.number}: '}{self.what}"


NOBODY_ASKED = "a job that nobody asked for"
ODD = "an answer that no fault excuses"

Check = Callable[[Wish, JobFacts], Iterator[Finding]]

ENDS: dict[Kind, frozenset[Status]] = {
    Kind.CANCELLED_WAITING: frozenset({Status.REVOKED}),
    Kind.CANCELLED_SOMETIME: frozenset({Status.SUCCESS, Status.REVOKED}),
    Kind.BAD: frozenset({Status.FAILURE}),
}
"""How a job of that kind may end; SUCCESS if it is not named."""
AGREES: dict[str, Callable[[str, str | None], bool]] = {
    Status.SUCCESS: lambda status, failure: status == "COMPLETED",
    Status.FAILURE: lambda status, failure: (status, failure) == ("FAILED", "JobFailed"),
    # the last: it found, when it was about to close the run, that the row had been closed for it
    Status.REVOKED: lambda status, failure: (
        status in ("CANCELED", "TERMINATED") or (status, failure) == ("FAILED", "JobRevoked")
    ),
}


def ends(wish: Wish) -> frozenset[Status]:
    return ENDS.get(wish.kind, frozenset({Status.SUCCESS}))


class Audit:
    """The findings of one run; with `reference`, the facts of the run of the same plan without faults."""

    def __init__(self, plan: Plan, facts: Facts, reference: Facts | None = None) -> None:
        self.plan = plan
        self.facts = facts
        self.reference = reference
        self._by_name: dict[str, list[JobFacts]] = {}
        for job in facts.jobs:
            self._by_name.setdefault(job.name, []).append(job)
        self._reference_ids = {} if reference is None else {job.name: job.id for job in reference.jobs}

    def findings(self) -> list[Finding]:
        """What is wrong; of a system that has not become quiet only what no waiting could mend."""
        if self.facts.not_quiet is not None:
            return list(self._certain())
        return [*self._whole(), *(found for wish in self.plan.wishes for found in self._of(wish))]

    def _whole(self) -> Iterator[Finding]:
        asked = {wish.name for wish in self.plan.wishes}
        for name in self._by_name.keys() - asked:
            yield Finding(Flaw.DOUBLED, None, f"{NOBODY_ASKED}: {name}")
        for table in self.facts.changed_late:
            yield Finding(Flaw.WRONG, None, f"{table} changed after everything was over")
        for answer in self.facts.odd_answers:
            yield Finding(Flaw.WRONG, None, f"{ODD}: {answer}")

    def _certain(self) -> Iterator[Finding]:
        """What is doubled in jobs that are over, what has gone though it was there, and odd answers."""
        yield from (found for found in self._whole() if found.what.startswith((NOBODY_ASKED, ODD)))
        for wish in self.plan.wishes:
            found = self._by_name.get(wish.name, [])
            if not found and wish.number in self.facts.made:
                yield Finding(Flaw.LOST, wish.number, "there is no such job")
            if len(found) > 1:
                yield Finding(Flaw.DOUBLED, wish.number, f"jobs {[job.id for job in found]}")
            for job in found:
                if job.status in FINAL:
                    yield from (
                        each
                        for check in self._checks
                        for each in check(wish, job)
                        if each.flaw is Flaw.DOUBLED
                    )

    def _of(self, wish: Wish) -> Iterator[Finding]:
        if wish.number in self.facts.failed:
            yield Finding(Flaw.STUCK, wish.number, self.facts.failed[wish.number])
        found = self._by_name.get(wish.name, [])
        if not found:
            yield Finding(Flaw.LOST, wish.number, "there is no such job")
        if len(found) > 1:
            yield Finding(Flaw.DOUBLED, wish.number, f"jobs {[job.id for job in found]}")
        for job in found:
            if job.status not in FINAL:
                yield Finding(Flaw.STUCK, wish.number, f"job {job.id} is {job.status}")
            else:
                for check in self._checks:
                    yield from check(wish, job)

    @property
    def _checks(self) -> tuple[Check, ...]:
        return (
            self._state,
            self._runs,
            self._stages,
            self._log,
            self._errors,
            self._effect,
            self._effect_lines,
            self._executions,
        )

    def _state(self, wish: Wish, job: JobFacts) -> Iterator[Finding]:
        if job.status not in ends(wish):
            yield Finding(Flaw.WRONG, wish.number, f"job {job.id} ({wish.kind}) is {job.status}")
        if not job.finished:
            yield Finding(Flaw.WRONG, wish.number, f"job {job.id} is {job.status} without an end")
        if job.over_rest != job.status:
            what = f"job {job.id} is {job.status} by its row, {job.over_rest} by the API"
            yield Finding(Flaw.WRONG, wish.number, what)
        if wish.kind not in BY_CHANCE and self._reference_ids.get(wish.name, job.id) != job.id:
            what = f"job {job.id} was {self._reference_ids[wish.name]} without faults: not to be compared"
            yield Finding(Flaw.WRONG, wish.number, what)

    def _runs(self, wish: Wish, job: JobFacts) -> Iterator[Finding]:
        wanted = 2 if wish.kind is Kind.RETRIED else 1
        if job.run < wanted:
            yield Finding(Flaw.LOST, wish.number, f"run {wanted} of job {job.id} never was")
        if job.run > wanted and not self._was_late_click(wish, job):
            yield Finding(Flaw.DOUBLED, wish.number, f"job {job.id} has {job.run} runs")

    def _was_late_click(self, wish: Wish, job: JobFacts) -> bool:
        """Whether a click may have come when the run of the other was over: then it asked for one more."""
        over = [line.at for line in job.lines if line.run == 1 and line.message in _final_lines(job)]
        answered = self.facts.clicked_by.get(wish.number)
        return job.run == 2 and answered is not None and bool(over) and answered > over[0]

    def _stages(self, wish: Wish, job: JobFacts) -> Iterator[Finding]:
        states = set(job.stages.values())
        if Status.STARTED in states or (job.status == Status.SUCCESS and states != {Status.SUCCESS}):
            yield Finding(Flaw.WRONG, wish.number, f"job {job.id} is {job.status}, stages {job.stages}")

    def _log(self, wish: Wish, job: JobFacts) -> Iterator[Finding]:
        running = lines.running(job.id, job.name)
        for run in range(1, job.run + 1):
            said = Counter(line.message for line in job.lines if line.run == run)
            ended = [line for line in _final_lines(job) for _ in range(said[line])]
            claimed = job.started if run == job.run else True
            if said[running] != claimed or len(ended) != 1:
                flaw = Flaw.DOUBLED if said[running] > 1 or len(ended) > 1 else Flaw.WRONG
                what = f"run {run} of job {job.id} began {said[running]} times and ended as {ended}"
                yield Finding(flaw, wish.number, what)
            elif run == job.run and ended != [lines.changing_status(job.id, Status(job.status))]:
                yield Finding(Flaw.WRONG, wish.number, f"job {job.id} is {job.status}, its log: {ended}")

    def _errors(self, wish: Wish, job: JobFacts) -> Iterator[Finding]:
        cause = wish.work.cause
        wanted = wish.work.errors if cause is None else [lines.failed(job.id, job.name, cause)]
        for run in {*range(1, job.run + 1), *(line.run for line in job.lines)}:
            said, expected = Counter(_errors_of(job, run)), Counter(wanted if 1 <= run <= job.run else [])
            # who was stopped has not come to all of them
            if said - expected or (expected - said and job.status != Status.REVOKED):
                wrong = [
                    *(f"+ {each}" for each in said - expected),
                    *(f"- {each}" for each in expected - said),
                ]
                yield Finding(Flaw.WRONG, wish.number, f"errors in the log of job {job.id}: {wrong[:5]}")

    def _effect(self, wish: Wish, job: JobFacts) -> Iterator[Finding]:
        if self.reference is None:
            return
        there, whole = self.facts.effects[wish.number], self.reference.effects[wish.number]
        before = self.facts.before[wish.number]
        if job.status == Status.REVOKED:
            left = Left(wish.work, job.stages, there, whole, before, _errors_of(job, job.run))
            fits = makers.of(wish.work).may_leave(left)
        else:
            fits = there == (whole if job.status == Status.SUCCESS else before)
        if not fits:
            what = f"job {job.id} ({job.status}, {dict(job.stages)}) has left {there};"
            yield Finding(Flaw.WRONG, wish.number, f"{what} without faults {whole}, before {before}")

    def _effect_lines(self, wish: Wish, job: JobFacts) -> Iterator[Finding]:
        for stage, mark in makers.of(wish.work).marks.items():
            for run in range(1, job.run + 1):
                said = sum(re.search(mark, line.message) is not None for line in job.lines if line.run == run)
                # only the stages of the newest run are known; those before it ended as it did
                done = run < job.run or job.stages.get(stage) == Status.SUCCESS
                what = f"the effect of {stage} in run {run} of job {job.id} ({job.status})"
                if said > 1:
                    yield Finding(Flaw.DOUBLED, wish.number, f"{what} was made {said} times")
                elif done and not said:
                    yield Finding(Flaw.LOST, wish.number, f"{what} was not made")
                elif said and not done:
                    yield Finding(Flaw.WRONG, wish.number, f"{what} was made, though the stage is not done")

    def _executions(self, wish: Wish, job: JobFacts) -> Iterator[Finding]:
        for each in job.executions:
            if each.status in ("RUNNING", "CONTINUED_AS_NEW", "TIMED_OUT", "UNKNOWN"):
                what = f"execution {each.run_id} of job {job.id}, which is {job.status}, is {each.status}"
                yield Finding(Flaw.STUCK, wish.number, what)
        claimed = [each for each in job.executions if each.run_id == job.workflow_run_id]
        if len(claimed) != job.started:
            what = f"job {job.id} ({job.status}) was claimed by {job.workflow_run_id}: {job.executions}"
            yield Finding(Flaw.WRONG, wish.number, what)
        for each in claimed:
            if not AGREES[job.status](each.status, each.failure):
                what = f"job {job.id} is {job.status}, its workflow {each.status} ({each.failure})"
                yield Finding(Flaw.WRONG, wish.number, what)
        completed = sum(each.status == "COMPLETED" for each in job.executions)
        if completed > job.run:
            yield Finding(Flaw.DOUBLED, wish.number, f"{completed} workflows of job {job.id} completed")


def _errors_of(job: JobFacts, run: int) -> list[str]:
    return [line.message for line in job.lines if line.run == run and line.level not in ("INFO", "WARNING")]


def _final_lines(job: JobFacts) -> list[str]:
    return [lines.changing_status(job.id, status) for status in sorted(FINAL)]
