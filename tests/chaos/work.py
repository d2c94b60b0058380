"""What jobs are asked to do in a chaos run, decided before anything runs, and what they leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol

from jobs.status import Status
from tests.field import Field

Fields = dict[str, Any]
"""What a job is made with, besides its name and delay."""


@dataclass(frozen=True)
class Work:
    """What one job is to do, decided before anything runs."""

    job_type: str
    details: Mapping[str, Any] = field(default_factory=dict)
    cause: str | None = None
    """Why it must fail; null if it must not."""
    errors: tuple[str, ...] = ()
    """What each run that succeeds logs as an error, each once."""


class Maker(Protocol):
    """Draws works of one job type, makes what they need, and tells what came of them."""

    key: str
    """Of the job type."""
    marks: Mapping[str, str]
    """By stages: an expression that fits the log line of the stage's last effect, and no other line."""

    def plain(self, random: Random, *, large: bool, steady: bool) -> Work:
        """A work that succeeds; a steady one does the same whatever the id of its job is."""

    def bad(self, random: Random) -> Work:
        """A work that fails, with its cause."""

    async def prepare(self, field: Field, folder: Path, works: Sequence[Work]) -> list[Fields]:
        """Make the rows and files that the works need; gives the fields of each job.

        The same rows on each new database. `folder` is where files may lie that workers read.
        """

    async def effects(self, field: Field, jobs: Sequence[Fields]) -> list[str]:
        """What there is of the effect of each job, as a text that is equal for equal effects."""

    def may_leave(self, left: "Left") -> bool:
        """Whether a revoked job may have left that."""


@dataclass(frozen=True)
class Left:
    """What a revoked job has left, and what it is compared with."""

    work: Work
    stages: Mapping[str, str]
    """State by key."""
    effect: str
    whole: str
    """What it leaves when nothing stops it."""
    before: str
    errors: Sequence[str] = ()
    """What its newest run has logged as errors."""

    def done(self, stage: str) -> bool:
        return self.stages.get(stage) == Status.SUCCESS

    def all_or_nothing(self, stage: str) -> bool:
        """Whether it is the effect of that stage if that was done, and nothing if it was not."""
        return self.effect == (self.whole if self.done(stage) else self.before)
