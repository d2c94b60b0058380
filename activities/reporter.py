"""How an activity says how far its stage is: heartbeats to Temporal, rows and log lines to people.

The stage reporter is all that the body of an activity sees of this.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace
from typing import Any, Protocol, TypeVar

from temporalio import activity

from activities.failures import OUT_OF_REACH, Tries, first_line, for_temporal
from activities.keeper import SECONDS_BETWEEN_BEATS, keep
from activities.resources import Resources
from db import stage_rows
from db.connections import Connection
from db.log_rows import Line
from jobs.errors import RunPaused
from jobs.stages import Stage, StageSnapshot, key_of
from jobs.status import Status

In = TypeVar("In")
Out = TypeVar("Out")


class RunPayload(Protocol):
    """What every payload of a stage's activity has."""

    job_id: int
    run: int


def implements(
    stage: Stage[In, Out],
) -> Callable[[Callable[[Any, In], Coroutine[Any, Any, Out]]], Callable[[Any, In], Coroutine[Any, Any, Out]]]:
    """Mark a method as the activity that carries out a stage."""
    return activity.defn(name=stage.key)


class StageReporter:
    """How far one stage of one run is.

    `progress`, `set`, `count` and `log` only note; a timer and the effects write. Whatever is written is fenced
    by the run: once it is over, the next write raises RunEnded.
    """

    def __init__(
        self, resources: Resources, payload: RunPayload, begun: stage_rows.Begun, attempt: str
    ) -> None:
        self.database = resources.database
        self.job_id = payload.job_id
        self.run = payload.run
        self.attempt = attempt
        self.stage = begun.stage
        self.cursor: dict[str, Any] | None = begun.cursor
        """Where to go on; written by the next effect, and by nothing else."""
        self.waits_for = begun.waits_for
        """The job for which the attempt before this one waited; what the work begins with has been said then."""
        self.paused = begun.paused
        """Whether the run was paused when last heard of."""
        self._lines: list[Line] = []
        self._changed = True
        self._beaten_at = time.monotonic()
        self._writing = asyncio.Lock()
        self._before_effect: StageSnapshot | None = None
        self._lines_of_effect: list[Line] = []

    @property
    def finished(self) -> bool:
        """True if an attempt before this one did the whole stage, and only its answer was lost."""
        return self.stage.status is Status.SUCCESS

    def stop_if_paused(self) -> None:
        """Raises RunPaused if no new work is to be begun now. Every effect begins with this question."""
        if self.paused:
            raise RunPaused(self.job_id, self.run)

    def progress(self, fraction: float) -> None:
        """Say how far the stage is, from 0 to 1; it never goes back."""
        self.stage.progress = max(self.stage.progress, min(1.0, fraction))
        self._note()

    def set(self, param: str, value: Any) -> None:
        """Set a figure of the stage, by its name or key."""
        self.stage.param(param).value = value
        self._note()

    def count(self, param: str, by: int = 1) -> None:
        """Add to a figure of the stage."""
        self.set(param, (self.stage.param(param).value or 0) + by)

    def unset(self, param: str) -> None:
        """Take away a figure of the stage."""
        self.stage.params = [each for each in self.stage.params if each.key != key_of(param)]
        self._note()

    def log(self, message: str, level: str = "INFO") -> None:
        """Add a line to the job's log. Inside an effect it is kept only if the effect is."""
        lines = self._lines if self._before_effect is None else self._lines_of_effect
        lines.append(Line(message, level))
        self._note()

    def _note(self) -> None:
        self._changed = True
        if time.monotonic() - self._beaten_at > SECONDS_BETWEEN_BEATS / 4:
            self.beat()

    def beat(self) -> None:
        """Tell Temporal that the attempt is alive, and where it is."""
        self._beaten_at = time.monotonic()
        activity.heartbeat(asdict(self.stage), self.cursor)

    async def look(self) -> None:
        """Learn whether the run is paused; raises RunEnded or AttemptSuperseded if this attempt may work no more."""
        async with self.database.autocommit() as db:
            self.paused = await stage_rows.standing(db, self.job_id, self.run, self.stage.key, self.attempt)

    async def write(self) -> None:
        """Write what was noted, if anything was; of an effect under way only what was so before it."""
        async with self._writing:
            if not self._changed:
                return
            lines = self._take_lines()
            try:
                async with self.database.transaction() as db:
                    await self._report(db, self._before_effect or self.stage, lines)
            except BaseException:
                self._put_back(lines)
                raise

    @asynccontextmanager
    async def effect(self, *, last: bool = False) -> AsyncIterator[Connection]:
        """A transaction for an effect of the stage, which also commits how far the stage is then.

        So what is done and the record of it are one: an attempt that is made again finds both or neither. With
        `last` the stage is over with it. Raises RunEnded or AttemptSuperseded, and undoes the effect, if the run is
        over or another attempt has begun; RunPaused, before anything is done, if the run is paused.
        """
        self.stop_if_paused()
        before = replace(self.stage, params=[replace(param) for param in self.stage.params])
        cursor_before = self.cursor
        self._before_effect = before
        lines: list[Line] = []
        holding = False
        try:
            async with self.database.transaction() as db:
                yield db
                if last:
                    self.stage.status, self.stage.progress = Status.SUCCESS, 1.0
                # until the commit: the timer must not write an older state over this one
                await self._writing.acquire()
                holding = True
                lines = self._take_lines()
                await self._report(db, self.stage, [*lines, *self._lines_of_effect], self.cursor)
        except BaseException:
            self._put_back(lines)
            self.stage, self.cursor = before, cursor_before
            raise
        finally:
            self._before_effect, self._lines_of_effect = None, []
            if holding:
                self._writing.release()

    async def _report(
        self,
        db: Connection,
        stage: StageSnapshot,
        lines: Sequence[Line],
        cursor: dict[str, Any] | None = None,
    ) -> None:
        self.paused = await stage_rows.report(
            db, self.job_id, self.run, stage, lines, cursor, attempt=self.attempt
        )

    def _take_lines(self) -> list[Line]:
        lines, self._lines, self._changed = self._lines, [], False
        return lines

    def _put_back(self, lines: list[Line]) -> None:
        self._lines, self._changed = [*lines, *self._lines], True

    async def finish(self) -> None:
        """End the stage, if an effect has not done so."""
        if not self.finished:
            self.stage.status, self.stage.progress = Status.SUCCESS, 1.0
            self._changed = True
            await self.write()


@asynccontextmanager
async def reporting(
    resources: Resources, stage: Stage[Any, Any], payload: RunPayload
) -> AsyncIterator[StageReporter]:
    """Keep the row of a stage, Temporal and the job's log true while the body does the stage's work.

    The body goes on where the row's cursor says. Errors leave as what Temporal must know of them: whether
    trying again can help.
    """
    with for_temporal() as tries, resources.signals.subscribe(payload.job_id) as signal:
        report = await _begin(resources, stage, payload, tries)
        keeping = asyncio.create_task(keep(report, signal, body=_current_task()))
        try:
            yield report
            await report.finish()
        except asyncio.CancelledError as error:
            # the timer stops the body for a reason of its own
            reason = keeping.exception() if keeping.done() and not keeping.cancelled() else None
            if reason is not None:
                raise reason from error
            await _last_words(report)
            raise
        except Exception as error:
            _say_why(report, error)
            await _last_words(report)
            raise
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


async def _begin(
    resources: Resources, stage: Stage[Any, Any], payload: RunPayload, tries: Tries
) -> StageReporter:
    info = activity.info()
    # a lot of its own: Temporal gives the numbers of attempts out anew after a reset of the activity
    attempt = f"{info.workflow_run_id}/{info.activity_id}/{info.attempt}/{secrets.token_hex(8)}"
    async with resources.database.autocommit() as db:
        begun = await stage_rows.begin(db, payload.job_id, payload.run, stage.key, attempt)
    tries.waited = begun.waited
    report = StageReporter(resources, payload, begun, attempt)
    if report.finished:
        return report
    if report.waits_for is None and (info.attempt > 1 or report.cursor is not None):
        report.log(f"Going on with stage {stage.key}, attempt {info.attempt}{_failed_before()}", "WARNING")
    report.stop_if_paused()
    return report


def _failed_before() -> str:
    """Why the attempt before failed, if it lived to say so: its last heartbeat has it."""
    details = activity.info().heartbeat_details
    return f", after: {details[2]}" if len(details) > 2 and details[2] else ""


def _say_why(report: StageReporter, error: Exception) -> None:
    """Leave the next attempt a word of what went wrong: this one may have no database to write it to."""
    if isinstance(error, OUT_OF_REACH):
        activity.heartbeat(
            asdict(report.stage), report.cursor, f"{type(error).__name__}: {first_line(error)}"
        )


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def _last_words(report: StageReporter) -> None:
    """Write what the body logged before it failed; if that fails too, the failure itself says why."""
    with suppress(Exception):
        await report.write()
