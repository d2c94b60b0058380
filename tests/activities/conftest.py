"""A run of a job that a test's attempts work for."""

import pytest

from db import run_rows
from db.connections import Database
from db.run_rows import Execution
from jobs.runs import ClaimedRun, JobRequest
from tests.field import Field
from workflows.populate_captures_collection import JOB_TYPE


@pytest.fixture
async def run(database: Database, field: Field) -> ClaimedRun:
    project_id, set_id = await field.small_set()
    async with database.transaction() as db:
        request = JobRequest(project_id=project_id, source_image_collection_id=set_id)
        return await run_rows.claim(db, JOB_TYPE, request, Execution("w", "execution"))
