"""Start a job from a program, wait for it, and use its result; the job appears on the jobs page like any other.

    python examples/start_from_python.py PROJECT_ID CAPTURE_SET_ID

Reads NIGHTJAR_TEMPORAL_ADDRESS and the other NIGHTJAR_* settings from the environment.
"""

import asyncio
import sys
import uuid

from temporalio.client import WorkflowFailureError

from config import Settings
from jobs.runs import JobRequest, JobResult
from temporal.connection import connect


async def main(project_id: int, capture_set_id: int) -> None:
    settings = Settings()
    temporal = await connect(settings)
    # any workflow id will do; starting twice under one id starts once
    handle = await temporal.start_workflow(
        "populate_captures_collection",
        JobRequest(
            project_id=project_id,
            source_image_collection_id=capture_set_id,
            name="Populate from a program",
        ),
        id=f"nightly-populate-{uuid.uuid4()}",
        task_queue=f"{settings.task_queue}-jobs",
        result_type=JobResult,
    )
    try:
        result = await handle.result()
    except WorkflowFailureError as failure:
        print(f"The job failed: {failure.cause}")
        raise SystemExit(1) from failure
    added = result.values("populate_captures_collection")["captures_added"]
    print(f"Job {result.job_id}: {result.status}, {added} captures")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
