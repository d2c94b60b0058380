"""Histories of every shape still replay: a workflow that runs during an upgrade goes on after it.

And every shape that a workflow has now is among the recorded ones: whoever changes one records it.

`python -m tests.workflows.test_replay WORKFLOW_ID FILE` records one from the Temporal of the settings.
"""

import asyncio
import json
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowHistory
from temporalio.worker import Replayer

from config import Settings
from temporal.connection import connect
from tests.field import Field
from tests.stores import folder_in
from tests.waiting import job_in, make_job, until
from workflows.registry import WORKFLOWS
from workflows.sandbox import runner

HISTORIES = Path(__file__).parent.parent / "histories"


@pytest.mark.parametrize("path", sorted(HISTORIES.glob("*.json")), ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    history = WorkflowHistory.from_json(path.stem, path.read_text())

    await Replayer(workflows=WORKFLOWS, workflow_runner=runner()).replay_workflow(history)


TYPE = "populate_captures_collection"
CHANGED = "the commands of the workflow changed: see docs/operating.md, changing a workflow"


def known(name: str) -> WorkflowHistory:
    """A recorded history."""
    return WorkflowHistory.from_json("known", (HISTORIES / f"{name}.json").read_text())


def shape(history: WorkflowHistory) -> set[tuple[str, str]]:
    """What follows what in a history; what only says that a worker was at it is left out.

    How often a delay was reported before something else came is chance.
    """
    names = []
    for event in history.events:
        name = EventType.Name(event.event_type)
        if "WORKFLOW_TASK" not in name and name != "EVENT_TYPE_ACTIVITY_TASK_STARTED":
            names.append(f"{name} {_what(event)}".rstrip())
    return set(pairwise(names))


def _what(event: HistoryEvent) -> str:
    """Of which activity, signal or change of the workflow an event tells."""
    match event.WhichOneof("attributes"):
        case "activity_task_scheduled_event_attributes":
            return event.activity_task_scheduled_event_attributes.activity_type.name
        case "workflow_execution_signaled_event_attributes":
            return event.workflow_execution_signaled_event_attributes.signal_name
        case "marker_recorded_event_attributes":
            details = event.marker_recorded_event_attributes.details
            told = json.loads(details["data" if "data" in details else "patch-data"].payloads[0].data)
            return str(told["activity_type" if "data" in details else "id"])
        case _:
            return ""


@pytest.mark.parametrize("scene", ["plain", "cancelled", "paused"])
async def test_the_shapes_that_workflows_have_now_are_recorded(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client, scene: str
) -> None:
    project_id, set_id = await field.small_set()
    delay = {"plain": 0, "cancelled": 300, "paused": 6}[scene]
    job = await make_job(client, project_id, set_id, delay=delay)
    if scene != "plain":
        await job_in(client, job["id"], "STARTED")
        await until(lambda: delaying(client, job["id"]), "the delay")
    if scene == "cancelled":
        await client.post(f"/jobs/{job['id']}/cancel/")
    if scene == "paused":
        await client.post(f"/jobs/{job['id']}/pause/")
        handle = temporal.get_workflow_handle(f"job-{job['id']}")
        await until(lambda: heard(handle), "the pause in the workflow")
        await client.post(f"/jobs/{job['id']}/resume/")
    await job_in(client, job["id"])

    async def over() -> bool:
        described = await temporal.get_workflow_handle(f"job-{job['id']}").describe()
        return described.status is not WorkflowExecutionStatus.RUNNING

    await until(over, "the end of the workflow")
    now = await temporal.get_workflow_handle(f"job-{job['id']}").fetch_history()
    assert shape(now) == shape(known(f"{TYPE}.{scene}")), CHANGED


async def test_the_shape_of_grouping_is_recorded(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client
) -> None:
    station_id = await field.station(await field.project())
    answer = await client.post(f"/deployments/{station_id}/regroup-sessions/")
    handle = temporal.get_workflow_handle(f"job-{answer.json()['job_id']}")
    await handle.result()

    assert shape(await handle.fetch_history()) == shape(known("regroup_events.measured")), CHANGED


async def test_the_shape_of_syncing_is_recorded(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client, settings: Settings
) -> None:
    bucket = folder_in(Path(settings.storage_roots))
    await bucket.put({"20230801120000.jpg": b"x"})
    project_id = await field.project()
    source_id = await field.row(
        "storage_sources", **vars(bucket.source), name="Folder", project_id=project_id
    )
    station_id = await field.row(
        "deployments", name="Station", project_id=project_id, data_source_id=source_id
    )
    answer = await client.post(f"/deployments/{station_id}/sync/")
    handle = temporal.get_workflow_handle(f"job-{answer.json()['job_id']}")
    await handle.result()

    assert shape(await handle.fetch_history()) == shape(known("data_storage_sync.plain")), CHANGED


def test_a_workflow_with_one_stage_more_has_another_shape() -> None:
    assert shape(known("regroup_events.measured")) != shape(known("regroup_events.plain"))


@pytest.mark.parametrize("path", sorted(HISTORIES.glob("*.json")), ids=lambda path: path.stem)
def test_no_history_says_on_which_machine_it_was_recorded(path: Path) -> None:
    assert _PROCESS.findall(path.read_text()) == []


async def delaying(client: httpx2.AsyncClient, job_id: int) -> bool:
    stages = (await client.get(f"/jobs/{job_id}/")).json()["progress"]["stages"]
    return bool(stages[0]["status"] == "STARTED")


async def heard(handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether the workflow has looked at its row after the signal."""
    names = [event["eventType"] for event in (await handle.fetch_history()).to_json_dict()["events"]]
    signal = "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED"
    return signal in names and "EVENT_TYPE_MARKER_RECORDED" in names[names.index(signal) :]


_PROCESS = re.compile(r'"\d+@[^"]*"')
"""Number and host of a process, as in identities and the names of its own task queues."""


async def record(workflow_id: str, path: Path) -> None:
    temporal = await connect(Settings())
    history = await temporal.get_workflow_handle(workflow_id).fetch_history()
    path.write_text(_PROCESS.sub('"recorded"', history.to_json()) + "\n")


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1], Path(sys.argv[2])))
