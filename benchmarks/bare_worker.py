"""A worker for the bare workflow, with everything as the SDK has it: `python -m benchmarks.bare_worker`."""

import asyncio

from temporalio.client import Client
from temporalio.worker import Worker

from benchmarks.bare_workflow import QUEUE, BareWorkflow, nothing
from config import Settings


async def work() -> None:
    client = await Client.connect(Settings().temporal_address)
    await Worker(client, task_queue=QUEUE, workflows=[BareWorkflow], activities=[nothing]).run()


if __name__ == "__main__":
    asyncio.run(work())
