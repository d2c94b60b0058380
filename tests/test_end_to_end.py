"""From request to result with nothing faked."""

import httpx2

from tests.field import Field
from tests.waiting import job_in, make_job


async def test_a_job_goes_from_request_to_success(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, set_id = await field.small_set(nights=5)

    made = await make_job(client, project_id, set_id)
    job = await job_in(client, made["id"])

    assert made["status"] == "PENDING"
    assert job["status"] == "SUCCESS"
    assert job["progress"]["stages"][0]["params"][0]["value"] == 5
    assert len(await field.members(set_id)) == 5
