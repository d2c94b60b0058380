"""What a chaos run has shown, as figures: a table for people, JSON for programs."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.chaos.audit import Finding, Flaw
from tests.chaos.client import Figures
from tests.chaos.facts import Facts, NotQuiet
from tests.chaos.plan import Plan
from tests.chaos.workload import Notes


@dataclass(frozen=True)
class Recovery:
    """Seconds from faults to the success of a job that was asked for right after."""

    p50: float
    p95: float
    longest: float
    count: int


def recovery(seconds: Sequence[float]) -> Recovery | None:
    if not seconds:
        return None
    ordered = sorted(seconds)
    p50, p95 = (ordered[max(0, math.ceil(len(ordered) * share) - 1)] for share in (0.5, 0.95))
    return Recovery(round(p50, 2), round(p95, 2), round(ordered[-1], 2), len(ordered))


@dataclass(frozen=True)
class Report:
    """All figures of a run."""

    seed: int
    seconds: float
    jobs_asked_for: int
    jobs_by_kind: dict[str, int]
    in_a_final_state: dict[str, int]
    lost: int
    doubled: int
    wrong: int
    stuck: int
    faults: dict[str, int]
    resumes: int
    """Stages that went on with a later attempt."""
    recovery: Recovery | None
    recovery_by_fault: dict[str, Recovery | None]
    answers: int
    sent_again: int
    slow_answers: int
    ended_by_themselves: dict[str, int]
    """Processes that ended though nobody killed them, such as a worker that starts while Temporal is away."""
    quiet_after: float
    """Seconds from the end of the faults until every job was over."""
    workflows_closed_after: float
    undisturbed_seconds: float
    findings: list[str]
    not_quiet: NotQuiet | None = None
    """That something still moved when the time to wait was over: what is not found then says nothing."""

    @property
    def clean(self) -> bool:
        return not self.findings and self.not_quiet is None

    @property
    def verdict(self) -> str:
        """In words."""
        if self.findings:
            return "FAILED"
        return "nothing was lost" if self.not_quiet is None else "NOT QUIET IN TIME: nothing can be said"

    @property
    def exit_status(self) -> int:
        """0 if all is well, 1 if something is wrong, 3 if neither can be said."""
        if self.findings:
            return 1
        return 0 if self.not_quiet is None else 3

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2)

    def as_text(self) -> str:
        rows: list[tuple[str, Any]] = []
        for name, told in asdict(self).items():
            label = name.replace("_", " ")
            if name == "recovery_by_fault":
                rows += [(f"  from {kind}", _recovery_text(each)) for kind, each in told.items()]
            elif name == "not_quiet":
                rows.append(
                    ("not quiet in time", "-" if self.not_quiet is None else _not_quiet(self.not_quiet))
                )
            elif name == "recovery":
                rows.append((label, _recovery_text(told)))
            elif isinstance(told, dict):
                rows.append((label, sum(told.values())))
                rows += [(f"  {kind}", count) for kind, count in told.items()]
            elif name != "findings":
                rows.append((label, told))
        table = "\n".join(f"{label:<36}{told}" for label, told in rows)
        moving = () if self.not_quiet is None else self.not_quiet.moving
        return "\n".join(
            [table, *(f"  moving: {each}" for each in moving), *(f"  {each}" for each in self.findings)]
        )


def _not_quiet(told: NotQuiet) -> str:
    return f"{len(told.moving)} still moving after {told.waited:.0f} s"


def _recovery_text(told: dict[str, Any] | None) -> str:
    if told is None:
        return "-"
    return "p50 {p50} s, p95 {p95} s, longest {longest} s ({count})".format(**told)


def make(
    plan: Plan,
    facts: Facts,
    findings: Sequence[Finding],
    *,
    faults: dict[str, int],
    notes: Notes,
    figures: Figures,
    **more: Any,
) -> Report:
    """The report of a run from all that was seen of it."""
    by_fault: dict[str, list[float]] = {kind: [] for kind in faults}
    for fault, seconds in notes.recoveries:
        by_fault.setdefault(fault.kind, []).append(seconds)
    return Report(
        seed=plan.seed,
        seconds=plan.seconds,
        jobs_asked_for=len(plan.wishes),
        jobs_by_kind=_counted(str(wish.kind) for wish in plan.wishes),
        in_a_final_state=_counted(
            job.status for job in facts.jobs if job.status in ("SUCCESS", "FAILURE", "REVOKED")
        ),
        lost=_jobs_with(findings, Flaw.LOST),
        doubled=_jobs_with(findings, Flaw.DOUBLED),
        wrong=_jobs_with(findings, Flaw.WRONG),
        stuck=_jobs_with(findings, Flaw.STUCK),
        faults=dict(sorted(faults.items())),
        resumes=sum(
            line.message.startswith("Going on with stage") for job in facts.jobs for line in job.lines
        ),
        recovery=recovery([seconds for _, seconds in notes.recoveries]),
        recovery_by_fault={kind: recovery(seconds) for kind, seconds in sorted(by_fault.items())},
        answers=figures.answers,
        sent_again=figures.sent_again,
        slow_answers=figures.slow,
        findings=[str(finding) for finding in findings],
        not_quiet=facts.not_quiet,
        **more,
    )


def _counted(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _jobs_with(findings: Sequence[Finding], flaw: Flaw) -> int:
    """Jobs of which that was found; what is about no single one counts as one each."""
    found = [finding for finding in findings if finding.flaw is flaw]
    single = {finding.number for finding in found if finding.number is not None}
    return len(single) + sum(finding.number is None for finding in found)
