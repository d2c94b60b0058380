"""The timer of an attempt: it beats for Temporal, writes what was noted, tells the workflow, and hears of its job.

It goes on however long one step of the body takes, and stops the body once the attempt may work no more.
"""

import asyncio
import time
from datetime import timedelta
from typing import Any, Protocol

from temporalio import activity

from activities.failures import OUT_OF_REACH, first_line
from jobs.stages import StageSnapshot

SECONDS_BETWEEN_BEATS = 1.0
"""Also the least time between two writes of the stage's row outside of effects."""

SECONDS_TO_FIRST_SIGNAL = 2.0
MAX_SECONDS_BETWEEN_SIGNALS = 300.0
"""A running stage signals its workflow how far it is after 2, 4, 8 … seconds, then every 5 minutes: enough for
the Temporal Web UI, and a history that stays small for a job of days."""

SIGNAL_TIMEOUT = timedelta(seconds=2)
"""A slow Temporal must not hold up the beats."""


class Attempt(Protocol):
    """What the timer needs of an attempt."""

    @property
    def stage(self) -> StageSnapshot: ...

    def beat(self) -> None: ...

    async def look(self) -> None: ...

    async def write(self) -> None: ...


async def keep(attempt: Attempt, signal: asyncio.Event, body: asyncio.Task[Any]) -> None:
    """Beat, write and signal the workflow from time to time, however long one step of the body takes.

    Stops the body and raises once the run turns out to be over, another attempt has taken the stage, or what was
    noted cannot be written at all.
    """
    # by itself: a database that hangs must not let the attempt look dead
    beating = asyncio.create_task(_beat(attempt))
    try:
        await _write_and_signal(attempt, signal)
    except Exception:
        body.cancel()
        raise
    finally:
        beating.cancel()


async def _beat(attempt: Attempt) -> None:
    while True:
        await asyncio.sleep(SECONDS_BETWEEN_BEATS)
        attempt.beat()


async def _write_and_signal(attempt: Attempt, signal: asyncio.Event) -> None:
    began = time.monotonic()
    next_signal = SECONDS_TO_FIRST_SIGNAL
    while True:
        heard = await _heard(signal)
        # a database out of reach now is no reason to end: what was noted is written later, or by the next attempt
        try:
            if heard:
                await attempt.look()
            else:
                await attempt.write()
        except OUT_OF_REACH as error:
            activity.logger.warning("cannot write how far the stage is: %s", first_line(error))
        passed = time.monotonic() - began
        if passed >= next_signal:
            next_signal = min(passed * 2, passed + MAX_SECONDS_BETWEEN_SIGNALS)
            await _signal_progress(attempt)


async def _heard(signal: asyncio.Event) -> bool:
    """Whether something happened to the job before it was time for the next beat."""
    try:
        async with asyncio.timeout(SECONDS_BETWEEN_BEATS):
            await signal.wait()
    except TimeoutError:
        return False
    signal.clear()
    return True


async def _signal_progress(attempt: Attempt) -> None:
    info = activity.info()
    handle = activity.client().get_workflow_handle(info.workflow_id or "", run_id=info.workflow_run_id)
    try:
        await handle.signal("progress", attempt.stage, rpc_timeout=SIGNAL_TIMEOUT)
    except Exception as error:  # any failure to tell is only a line in the process's log
        activity.logger.warning("cannot tell the workflow of progress: %s", error)
