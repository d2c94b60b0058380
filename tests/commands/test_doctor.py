"""`nightjar doctor`: the sweep's Schedule is missed, made and found paused; folders and workers are looked at."""

from pathlib import Path

from temporalio.client import Client

from commands.doctor import Finding, examine
from config import Settings
from temporal import schedules
from worker import working


async def finding(settings: Settings, subject: str) -> Finding:
    return next(each for each in await examine(settings) if each.subject == subject)


async def sweep_of(settings: Settings) -> Finding:
    return await finding(settings, "Sweep")


async def test_a_missing_schedule_is_made_and_a_paused_one_is_named(
    settings: Settings, temporal: Client
) -> None:
    wanted = settings.model_copy(update={"sweep_every": 3600.0})
    missing = await sweep_of(wanted)
    assert not missing.fine
    assert missing.mends is not None

    await missing.mends()
    handle = temporal.get_schedule_handle(schedules.schedule_id(settings.task_queue))
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


async def test_folders_of_captures_must_be_there_and_their_files_must_have_addresses(
    settings: Settings, tmp_path: Path
) -> None:
    nowhere = str(tmp_path / "nowhere")
    gone = await finding(settings.model_copy(update={"storage_roots": nowhere}), "Storage folders")

    assert (gone.fine, nowhere in gone.words) == (False, True)
    assert (await finding(settings, "Storage folders")).fine
    assert (await finding(settings, "Storage folders")).words.endswith("; for superusers")
    unsigned = await finding(settings.model_copy(update={"signing_key": None}), "Storage folders")
    assert "NIGHTJAR_SIGNING_KEY" in unsigned.remedy
    assert (await finding(settings.model_copy(update={"storage_roots": ""}), "Storage folders")).fine


async def test_a_kind_of_task_queue_that_no_worker_serves_is_named(settings: Settings) -> None:
    async with working(settings.model_copy(update={"queues": "jobs"})):
        found = await finding(settings, "Workers")

    assert not found.fine
    assert f"{settings.task_queue}-storage: nobody polls" in found.words
    assert f"{settings.task_queue}-jobs: nobody polls" not in found.words
