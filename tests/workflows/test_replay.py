"""Histories of released shapes still replay: a workflow that runs during an upgrade goes on after it.

`python -m tests.workflows.test_replay WORKFLOW_ID FILE` records one from the Temporal of the settings.
"""

import asyncio
import sys
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from config import Settings
from temporal_client import connect
from workflows.registry import WORKFLOWS
from workflows.sandbox import runner

HISTORIES = Path(__file__).parent.parent / "histories"


@pytest.mark.parametrize("path", sorted(HISTORIES.glob("*.json")), ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    history = WorkflowHistory.from_json(path.stem, path.read_text())

    await Replayer(workflows=WORKFLOWS, workflow_runner=runner()).replay_workflow(history)


async def record(workflow_id: str, path: Path) -> None:
    temporal = await connect(Settings())
    history = await temporal.get_workflow_handle(workflow_id).fetch_history()
    path.write_text(history.to_json() + "\n")


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1], Path(sys.argv[2])))
