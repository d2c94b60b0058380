"""`nightjar doctor` and the sweep: its Schedule is missed, made, and found paused."""

from temporalio.client import Client

from commands.doctor import Finding, examine
from config import Settings
from executions import schedule


async def sweep_of(settings: Settings) -> Finding:
    return next(finding for finding in await examine(settings) if finding.subject == "Sweep")


async def test_a_missing_schedule_is_made_and_a_paused_one_is_named(
    settings: Settings, temporal: Client
) -> None:
    wanted = settings.model_copy(update={"sweep_every": 3600.0})
    missing = await sweep_of(wanted)
    assert not missing.fine
    assert missing.mends is not None

    await missing.mends()
    handle = temporal.get_schedule_handle(schedule.schedule_id(settings.task_queue))
    try:
        assert (await sweep_of(wanted)).fine
        await handle.pause()
        paused = await sweep_of(wanted)
    finally:
        await handle.delete()

    assert not paused.fine
    assert "paused" in paused.words


async def test_a_sweep_that_is_not_wanted_is_no_fault(settings: Settings) -> None:
    assert (await sweep_of(settings)).fine
