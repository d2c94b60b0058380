"""A program that knows the API by a generated client alone: it makes a job, starts it, waits for it, and reads it.

Run by the generated client's own Python: `use.py ADDRESS TOKEN PROJECT SET`; prints what it read, as JSON.
"""

import json
import sys

from nightjar_client import AuthenticatedClient
from nightjar_client.api.jobs import create_job, get_job, list_jobs, run_job
from nightjar_client.models import BriefJobPage, CreateJobJsonBody, Job, JobInListPage

address, token, project_id, set_id = sys.argv[1:]
client = AuthenticatedClient(base_url=address, token=token, prefix="Token", raise_on_unexpected_status=True)


def made(name: str, *, start: bool) -> Job:
    body = CreateJobJsonBody(
        name=name,
        delay=0,
        project_id=int(project_id),
        source_image_collection_id=int(set_id),
        job_type_key="populate_captures_collection",
    )
    job = create_job.sync(client=client, body=body, start_now=start)
    assert isinstance(job, Job), job
    return job


first, second = made("Made, then run", start=False), made("Made and run", start=True)
ran = run_job.sync(first.id, client=client, no_async=True)
assert isinstance(ran, Job), ran
while True:
    read = get_job.sync(second.id, client=client, logs_limit=1)
    assert isinstance(read, Job), read
    if read.status not in ("CREATED", "PENDING", "STARTED"):
        break
listed = list_jobs.sync(client=client, project_id=int(project_id), limit=1)
polled = list_jobs.sync(client=client, ids_only=True, cutoff_hours=1)
assert isinstance(listed, JobInListPage), listed
assert isinstance(polled, BriefJobPage), polled
print(  # noqa: T201
    json.dumps(
        {
            "made": first.status,
            "started": second.status,
            "ran": ran.status,
            "read": read.status,
            "lines": len(read.logs.stdout),
            "captures": ran.progress.stages[0].params[0].value,
            "listed": [job.name for job in listed.results],
            "count": listed.count,
            "polled": len(polled.results),
        }
    )
)
