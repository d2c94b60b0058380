"""Syncing captures as a job: over REST, from real stores of every kind, again and at once."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from config import Settings
from storage.sources import Source
from tests.field import Field
from tests.stores import Bucket, bucket_of, folder_in
from tests.waiting import job_in
from tests.workflows.test_runs import lines, stage


@pytest.fixture(params=["s3", "folder"])
def bucket(request: pytest.FixtureRequest, settings: Settings) -> Bucket:
    """An empty place in a store of each kind."""
    if request.param == "s3":
        source: Source = request.getfixturevalue("s3")
        return bucket_of(source)
    return folder_in(Path(settings.storage_roots))


async def station_of(field: Field, bucket: Bucket, **more: Any) -> int:
    """A station whose captures lie there."""
    project_id = await field.project()
    source_id = await field.row(
        "storage_sources", name="Bucket", project_id=project_id, **vars(bucket.source)
    )
    return await field.row(
        "deployments", name="Station 1", project_id=project_id, data_source_id=source_id, **more
    )


async def asked(client: httpx2.AsyncClient, station_id: int) -> int:
    answer = await client.post(f"/deployments/{station_id}/sync/")
    assert answer.status_code == 200, answer.text
    return int(answer.json()["job_id"])


async def synced(client: httpx2.AsyncClient, station_id: int) -> dict[str, Any]:
    """The job of a sync, when it is over."""
    return await job_in(client, await asked(client, station_id))


def counts(job: dict[str, Any], key: str = "data_storage_sync") -> dict[str, Any]:
    return {param["key"]: param["value"] for param in stage(job, key)["params"]}


# domain 3.5, the worked case
WORKED = {
    "20230801120000.jpg": b"one",
    "20230801120500.JPG": b"two",
    "20230801123000jpg": b"three",
    "sub/20230801122000.jpeg": b"four",
    "19990101000000.jpg": b"five",
    "nodate.jpg": b"six",
    "20230801120900.jpg": b"",
    "notes.txt": b"seven",
}


async def test_the_worked_case_comes_to_what_the_contract_says(
    client: httpx2.AsyncClient, field: Field, worker: None, bucket: Bucket
) -> None:
    await bucket.put(WORKED)
    station_id = await station_of(field, bucket)

    job = await synced(client, station_id)

    assert job["status"] == "SUCCESS", lines(job)
    assert job["name"] == f"Sync captures for deployment {station_id}"
    figures = counts(job)
    assert figures.pop("files_per_second") > 0
    assert figures == {
        "total_files": 5,
        "failed": 1,
        "added": 5,
        "changed": 0,
        "missing": 0,
        "files_listed": 8,
        "pages": 1,
    }
    assert counts(job, "regroup_sessions")["events_created"] == 2
    station = f"#{station_id} Station 1"
    assert lines(job)[2:] == [
        f"INFO Syncing captures for deployment {station}",
        f"WARNING Suspicious timestamp (1999) for: {bucket.path('19990101000000.jpg')}",
        f"ERROR No timestamp parsed from filename: {bucket.path('nodate.jpg')}",
        "INFO Processed 5 files",
        f"INFO Finished syncing captures for deployment {station}",
        f"INFO Regrouping captures into sessions for deployment {station}",
        f"INFO Deployment {station} now has 2 events after sync regroup.",
        # these objects only have the names of pictures
        *(
            f"WARNING Cannot tell how large a picture is: {bucket.path(key)}: it is no picture"
            for key in ("19990101000000.jpg", "20230801120000.jpg")
        ),
        f"INFO Changing status of job {job['id']} to SUCCESS",
        f'INFO Finished job #{job["id"]} "{job["name"]}" (SUCCESS)',
    ]
