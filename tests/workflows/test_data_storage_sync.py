"""Syncing captures as a job: over REST, from real stores of every kind, again and at once."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.data_storage_sync import DataStorageSync
from activities.resources import Resources
from config import Settings
from jobs.runs import ClaimedRun
from storage.sources import Source
from storage.stores import Stores
from tests.fake_s3 import FakeS3
from tests.field import Field
from tests.passages import Passage, passage
from tests.stores import Bucket, bucket_of, folder_in
from tests.waiting import job_in, until
from tests.workflows.test_runs import lines, stage
from worker import working


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


async def test_a_second_sync_finds_what_is_new_and_reports_what_is_gone(
    client: httpx2.AsyncClient, field: Field, worker: None, bucket: Bucket
) -> None:
    await bucket.put(WORKED)
    station_id = await station_of(field, bucket)
    await synced(client, station_id)
    await bucket.remove("20230801120000.jpg")
    await bucket.put({"20230801124500.jpg": b"new"})
    deleted = bucket.path("20230801120500.JPG")
    async with field.database.transaction() as db:
        await db.execute("DELETE FROM source_images WHERE path = %s", (deleted,))

    job = await synced(client, station_id)

    found = counts(job)
    assert (found["total_files"], found["failed"], found["added"], found["missing"]) == (5, 1, 2, 1)
    assert any(
        line.endswith(f"Not in the store any more: {bucket.path('20230801120000.jpg')}")
        for line in lines(job)
    )
    # what vanished from the store stays here, and what was deleted here is back
    assert len(await captures(field, station_id)) == 6
    assert counts(job, "regroup_sessions")["captures_grouped"] == 6
    station = (await client.get(f"/deployments/{station_id}/")).json()
    assert (station["captures_count"], station["data_source_total_files"]) == (6, 6)
    assert station["data_source_last_checked"] is not None


async def captures(field: Field, station_id: int) -> dict[str, Any]:
    rows = await field.read("SELECT * FROM source_images WHERE deployment_id = %(id)s", id=station_id)
    return {row["path"]: row for row in rows}


async def test_of_a_changed_object_only_size_time_and_checksum_are_taken(
    client: httpx2.AsyncClient, field: Field, worker: None, bucket: Bucket
) -> None:
    await bucket.put({"20230801120000.jpg": b"one", "20230801120500.jpg": b"two"})
    station_id = await station_of(field, bucket)
    await synced(client, station_id)
    async with field.database.transaction() as db:
        await db.execute("UPDATE source_images SET timestamp = '2001-01-01', updated_at = '2001-01-01'")
    before = await captures(field, station_id)
    await bucket.put({"20230801120000.jpg": b"larger"})

    job = await synced(client, station_id)

    after = await captures(field, station_id)
    assert (counts(job)["changed"], counts(job)["added"]) == (1, 0)
    changed, same = bucket.path("20230801120000.jpg"), bucket.path("20230801120500.jpg")
    taken = ("size", "last_modified", "checksum")
    moved = ("event_id", "width", "height")
    assert after[changed]["size"] == 6
    assert (after[changed]["checksum"] is None) == bucket.source.is_folder
    for path, fixed in ((changed, (*taken, *moved)), (same, moved)):
        kept = [name for name in before[path] if name not in fixed]
        assert {name: after[path][name] for name in kept} == {name: before[path][name] for name in kept}


async def test_with_nothing_new_nothing_is_written(
    client: httpx2.AsyncClient, field: Field, worker: None, bucket: Bucket
) -> None:
    await bucket.put({f"202308011200{number:02}.jpg": b"x" for number in range(40)})
    station_id = await station_of(field, bucket)
    await synced(client, station_id)
    versions = "SELECT id, xmin::text, ctid::text FROM source_images ORDER BY id"
    before = await field.read(versions)

    job = await synced(client, station_id)

    found = counts(job)
    assert (found["total_files"], found["added"], found["changed"], found["missing"]) == (40, 0, 0, 0)
    assert await field.read(versions) == before
    assert await field.read("SELECT * FROM sync_sightings") == []


async def test_of_very_many_bad_objects_the_first_hundred_are_named(
    client: httpx2.AsyncClient, field: Field, worker: None, settings: Settings
) -> None:
    bucket = folder_in(Path(settings.storage_roots))
    await bucket.put({f"nodate-{number:04}.jpg": b"x" for number in range(250)})
    await bucket.put({f"1999010100{number // 60:02}{number % 60:02}.jpg": b"x" for number in range(130)})
    station_id = await station_of(field, bucket)

    job = await synced(client, station_id)

    assert (counts(job)["failed"], counts(job)["total_files"]) == (250, 130)
    assert len(job["logs"]["stderr"]) == 100
    assert sum("Suspicious" in line for line in lines(job)) == 100
    assert "WARNING 150 more objects that failed are not named" in lines(job)
    assert "WARNING 30 more suspicious timestamps are not named" in lines(job)


async def test_very_many_missing_captures_are_counted_and_the_first_hundred_are_named(
    client: httpx2.AsyncClient, field: Field, worker: None, settings: Settings
) -> None:
    bucket = folder_in(Path(settings.storage_roots))
    await bucket.put({"20230801120000.jpg": b"x"})
    station_id = await station_of(field, bucket)
    row = {"deployment_id": station_id, "created_at": datetime(2024, 1, 1, tzinfo=UTC)}
    for number in range(120):
        await field.row("source_images", path=bucket.path(f"gone-{number:03}.jpg"), **row)
    # of another folder, and one that somebody added by hand: neither was ever there
    await field.row("source_images", path="elsewhere/a.jpg", **row)
    admin_id = (await client.get("/users/me/")).json()["id"]
    await field.row("source_images", path=bucket.path("by-hand.jpg"), uploaded_by_id=admin_id, **row)

    job = await synced(client, station_id)

    assert counts(job)["missing"] == 120
    assert sum("Not in the store any more" in line for line in lines(job)) == 100
    assert "WARNING 20 more captures are not in the store any more" in lines(job)


async def test_objects_that_an_expression_leaves_out_are_not_taken_and_not_missed(
    client: httpx2.AsyncClient, field: Field, worker: None, bucket: Bucket
) -> None:
    await bucket.put({"a/20230801120000.jpg": b"x", "b/20230801120500.jpg": b"x"})
    station_id = await station_of(field, bucket)
    await synced(client, station_id)
    async with field.database.transaction() as db:
        await db.execute("UPDATE deployments SET data_source_regex = '/a/'")

    job = await synced(client, station_id)

    found = counts(job)
    assert (found["total_files"], found["files_listed"], found["missing"]) == (1, 2, 0)


async def test_a_subdirectory_is_all_that_a_station_has(
    client: httpx2.AsyncClient, field: Field, worker: None, bucket: Bucket
) -> None:
    await bucket.put({"dep_1/20230801120000.jpg": b"x", "dep_10/20230801120500.jpg": b"x"})
    station_id = await station_of(field, bucket, data_source_subdir="/dep_1/")

    await synced(client, station_id)

    assert list(await captures(field, station_id)) == [bucket.path("dep_1/20230801120000.jpg")]


async def test_names_that_cannot_be_kept_fail_alone(
    client: httpx2.AsyncClient, field: Field, worker: None, settings: Settings
) -> None:
    bucket = folder_in(Path(settings.storage_roots))
    await bucket.put({'20230801120000 "quoted" back\\slash {1,2}.jpg': b"x", "été/20230801120500.jpg": b"x"})
    long = "/".join(["n" * 200] * 6)
    await bucket.put({"20230801121000\n.jpg": b"x", f"{long}/20230801121500.jpg": b"x"})
    folder = os.fsencode(bucket.folder / "captures")
    with open(folder + b"/20230801122000\xff.jpg", "wb") as file:  # noqa: PTH123 - a name that is not UTF-8
        file.write(b"x")
    station_id = await station_of(field, bucket)

    job = await synced(client, station_id)

    assert job["status"] == "SUCCESS", lines(job)
    assert (counts(job)["total_files"], counts(job)["failed"]) == (2, 3)
    assert sorted(await captures(field, station_id)) == [
        'captures/20230801120000 "quoted" back\\slash {1,2}.jpg',
        "captures/été/20230801120500.jpg",
    ]
    reasons = sorted(line.rpartition(": ")[2] for line in job["logs"]["stderr"])
    assert reasons == ["it has control characters", "it has more than 1024 characters", "it is not UTF-8"]


async def test_links_lead_nowhere_and_folders_that_cannot_be_read_are_said(
    client: httpx2.AsyncClient, field: Field, worker: None, settings: Settings, tmp_path: Path
) -> None:
    bucket = folder_in(Path(settings.storage_roots))
    await bucket.put({"a/20230801120000.jpg": b"x"})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "20230801130000.jpg").write_bytes(b"secret")
    (bucket.folder / "captures" / "link").symlink_to(outside)
    (bucket.folder / "captures" / "20230801140000.jpg").symlink_to(outside / "20230801130000.jpg")
    station_id = await station_of(field, bucket)

    job = await synced(client, station_id)

    assert job["status"] == "SUCCESS"
    assert list(await captures(field, station_id)) == ["captures/a/20230801120000.jpg"]


FAILING: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "an expression": (
        {},
        {"data_source_regex": "[a"},
        "data_source_regex: The regular expression '[a' cannot be used: missing ]: [a",
    ),
    # saved before such expressions were refused
    "an expression of another dialect": (
        {},
        {"data_source_regex": "(?=a)a"},
        "cannot be used: invalid perl operator: (?= (RE2 syntax",
    ),
    "a folder that is not there": ({"bucket": "nowhere"}, {}, "There is no such folder (NoSuchBucket)"),
    "a folder elsewhere": (
        {"endpoint_url": "file:///etc", "bucket": "."},
        {},
        "The folder is not under a root that this server allows (NotAllowed)",
    ),
    "a folder above": ({"bucket": "../.."}, {}, "(NotAllowed)"),
    "a prefix that leads out": ({"prefix": "../.."}, {}, "The prefix leads out of the bucket (NotAllowed)"),
}


@pytest.mark.parametrize("case", FAILING.values(), ids=FAILING.keys())
async def test_what_trying_again_cannot_mend_fails_with_its_cause(
    client: httpx2.AsyncClient,
    field: Field,
    worker: None,
    settings: Settings,
    case: tuple[dict[str, Any], dict[str, Any], str],
) -> None:
    wrong, station, reason = case
    bucket = folder_in(Path(settings.storage_roots))
    await bucket.put({"20230801120000.jpg": b"x"})
    bucket.source = replace(bucket.source, **wrong)
    station_id = await station_of(field, bucket, **station)

    job = await synced(client, station_id)

    assert job["status"] == "FAILURE"
    assert [each["status"] for each in job["progress"]["stages"]] == ["FAILURE", "CREATED", "CREATED"]
    assert len(job["logs"]["stderr"]) == 1
    assert reason in job["logs"]["stderr"][0]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"secret_key": "a-guess"}, "InvalidCredentials"), ({"bucket": "butterflies"}, "NoSuchBucket")],
)
async def test_what_a_store_refuses_is_said_with_its_own_cause(
    client: httpx2.AsyncClient, field: Field, worker: None, s3: Source, wrong: dict[str, Any], code: str
) -> None:
    station_id = await station_of(field, Bucket(replace(s3, **wrong)))

    job = await synced(client, station_id)

    assert job["status"] == "FAILURE"
    [error] = job["logs"]["stderr"]
    assert f"({code})" in error
    assert "Storage source #" in error
    assert "a-guess" not in str(job)


async def test_where_nobody_vouches_for_a_source_its_sync_ends_and_says_what_to_do(
    client: httpx2.AsyncClient, field: Field, worker: None, bucket: Bucket
) -> None:
    """As it is with sources that were there before an upgrade."""
    await bucket.put({"20230801120000.jpg": b"x"})
    station_id = await station_of(field, Bucket(replace(bucket.source, trusted=False)))

    refused = await synced(client, station_id)
    [source] = await field.read("SELECT id, endpoint_url FROM storage_sources")
    saved = await client.patch(f"/storage/{source['id']}/", json={"endpoint_url": source["endpoint_url"]})
    job = await synced(client, station_id)

    assert refused["status"] == "FAILURE"
    [error] = refused["logs"]["stderr"]
    assert "(NotAllowed)" in error
    assert "ask one to save the address of this source, or the operator" in error
    assert saved.status_code == 200
    assert job["status"] == "SUCCESS", lines(job)
    assert counts(job)["added"] == 1


async def test_a_network_that_is_allowed_by_setting_is_synced_from(
    client: httpx2.AsyncClient, field: Field, settings: Settings
) -> None:
    async with (
        FakeS3([("20230801120000.jpg", 5), ("odd//20230802120500.jpg", 5)]) as fake,
        working(settings.model_copy(update={"storage_networks": "127.0.0.0/8"})),
    ):
        station_id = await station_of(field, Bucket(replace(fake.source(), trusted=False)))
        job = await synced(client, station_id)

    assert job["status"] == "SUCCESS", lines(job)
    assert counts(job)["added"] == 2
    # by both client libraries
    assert counts(job, "measure_captures")["captures_measured"] == 2


async def test_a_subdirectory_does_not_lead_out_of_the_prefix(
    client: httpx2.AsyncClient, field: Field, worker: None, settings: Settings
) -> None:
    """Managers say what the subdirectory of a station is; the prefix is what a superuser vouches for."""
    bucket = folder_in(Path(settings.storage_roots))
    (bucket.folder / "others").mkdir()
    (bucket.folder / "others" / "20230801120000.jpg").write_bytes(b"x")
    station_id = await station_of(field, bucket, data_source_subdir="../others")

    job = await synced(client, station_id)

    assert job["status"] == "FAILURE"
    assert "The subdirectory leads out of the prefix (NotAllowed)" in job["logs"]["stderr"][0]
    assert await captures(field, station_id) == {}


async def test_a_job_without_a_station_or_a_source_fails_and_says_so(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id, "No source")
    body = {"name": "Sync", "project_id": project_id, "delay": 0, "job_type_key": "data_storage_sync"}

    refused = await client.post(f"/deployments/{station_id}/sync/")
    reasons = []
    for more in ({}, {"deployment_id": station_id}):
        made = await client.post("/jobs/?start_now", json={**body, **more})
        reasons += (await job_in(client, made.json()["id"], "FAILURE"))["logs"]["stderr"]

    assert refused.status_code == 400
    assert refused.json() == ["Deployment must have a data source to sync captures from"]
    assert "No deployment provided for data storage sync job" in reasons[0]
    assert "Deployment No source has no data source configured" in reasons[1]


async def test_all_stations_of_a_project_are_synced_that_have_a_source(
    client: httpx2.AsyncClient, field: Field, worker: None, settings: Settings
) -> None:
    bucket = folder_in(Path(settings.storage_roots))
    await bucket.put({f"dep_{number}/20230801120000.jpg": b"x" for number in range(3)})
    first = await station_of(field, bucket, data_source_subdir="dep_0")
    rows = await field.read("SELECT project_id, data_source_id FROM deployments WHERE id = %(id)s", id=first)
    more = [
        await field.row("deployments", name="More", data_source_subdir=f"dep_{number}", **rows[0])
        for number in (1, 2)
    ]
    project_id = rows[0]["project_id"]
    await field.station(project_id, "No source")

    answer = (await client.post(f"/deployments/sync-all/?project_id={project_id}")).json()
    jobs = [await job_in(client, job_id) for job_id in answer["job_ids"]]

    assert answer == {"job_ids": answer["job_ids"], "queued": 3, "project_id": project_id}
    assert [job["deployment"]["id"] for job in jobs] == [first, *more]
    assert {job["status"] for job in jobs} == {"SUCCESS"}
    assert len(await field.read("SELECT id FROM source_images")) == 3
    nobody = await client.post("/deployments/sync-all/")
    assert (nobody.status_code, nobody.json()) == (400, ["A project_id is required to sync all stations."])
    assert (await client.post("/deployments/sync-all/?project_id=999999")).status_code == 404


async def test_a_program_starts_it_with_the_fields_of_the_jobs_api(
    client: httpx2.AsyncClient,
    field: Field,
    worker: None,
    temporal: Client,
    settings: Settings,
    bucket: Bucket,
) -> None:
    await bucket.put({"20230801120000.jpg": b"x"})
    station_id = await station_of(field, bucket)
    [station] = await field.read("SELECT project_id FROM deployments")

    result = await temporal.execute_workflow(
        "data_storage_sync",
        {"project_id": station["project_id"], "deployment_id": station_id},
        id=f"sync-{settings.task_queue}",
        task_queue=f"{settings.task_queue}-jobs",
    )

    assert result["status"] == "SUCCESS"
    assert [stage["key"] for stage in result["stages"]] == [
        "data_storage_sync",
        "regroup_sessions",
        "measure_captures",
    ]
    assert (await client.get(f"/jobs/{result['job_id']}/")).json()["deployment"]["id"] == station_id


@pytest.fixture
async def slow(s3: Source) -> AsyncIterator[tuple[Passage, Bucket]]:
    """A bucket behind a passage that can be frozen, with two captures in it."""
    bucket = bucket_of(s3)
    await bucket.put({"20230801120000.jpg": b"one", "20230801120500.jpg": b"two"})
    async with passage((s3.endpoint_url or "").removeprefix("http://")) as way:
        yield way, Bucket(replace(bucket.source, endpoint_url=f"http://{way.address}"))


async def has_its_turn(field: Field, job_id: int) -> None:
    async def look() -> bool:
        rows = await field.read(
            "SELECT turn_id FROM job_stages WHERE job_id = %(id)s AND key = 'data_storage_sync'", id=job_id
        )
        return bool(rows and rows[0]["turn_id"] is not None)

    await until(look, f"job {job_id} has its turn")


async def waits(client: httpx2.AsyncClient, job_id: int, words: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        job = (await client.get(f"/jobs/{job_id}/")).json()
        return job if any(words in line for line in lines(job)) else None

    return await until(look, f"a word that job {job_id} waits")


async def test_of_two_syncs_of_a_station_the_second_waits_and_says_for_whom(
    client: httpx2.AsyncClient, field: Field, worker: None, slow: tuple[Passage, Bucket]
) -> None:
    way, bucket = slow
    station_id = await station_of(field, bucket)
    way.freeze()
    first = await asked(client, station_id)
    await has_its_turn(field, first)
    second, third = await asked(client, station_id), await asked(client, station_id)

    waiting = await waits(client, second, f"Job {first} is syncing")
    await waits(client, third, f"Job {first} is syncing")
    said = (await client.get(f"/jobs/{second}/explain/")).json()
    await client.post(f"/jobs/{third}/cancel/")
    cancelled = await job_in(client, third, "REVOKED", seconds=5)
    way.thaw()
    jobs = [await job_in(client, job_id) for job_id in (first, second)]

    assert counts(waiting)["waiting_for_job"] == first
    assert (said["cause"], said["action_by"]) == ("waiting_for_turn", "nobody")
    assert said["summary"] == f"Waiting for job {first}, which works on deployment #{station_id} Station 1"
    assert [job["status"] for job in jobs] == ["SUCCESS", "SUCCESS"]
    assert [counts(job)["added"] for job in jobs] == [2, 0]
    # it looked several times, and told of it once
    told = [line for line in lines(jobs[1]) if "waiting" in line or "Going on" in line]
    assert told == [
        f"WARNING Job {first} is syncing deployment #{station_id} Station 1; waiting until it is done"
    ]
    assert f"INFO Job {first} is done; syncing captures for deployment #{station_id} Station 1" in lines(
        jobs[1]
    )
    assert "waiting_for_job" not in counts(jobs[1])
    assert counts(cancelled)["total_files"] == 0
    assert jobs[1]["started_at"] < jobs[0]["finished_at"] < jobs[1]["finished_at"]


async def test_who_waits_takes_no_place_of_a_worker(
    client: httpx2.AsyncClient, field: Field, settings: Settings, slow: tuple[Passage, Bucket]
) -> None:
    way, bucket = slow
    station_id = await station_of(field, bucket)
    other = folder_in(Path(settings.storage_roots))
    await other.put({"20230801120000.jpg": b"x"})
    other_station = await station_of(field, other)
    async with working(settings.model_copy(update={"max_concurrent_activities": 2})):
        way.freeze()
        first = await asked(client, station_id)
        await has_its_turn(field, first)
        behind = [await asked(client, station_id) for _ in range(4)]
        for job_id in behind:
            await waits(client, job_id, f"Job {first} is syncing")

        beside = await synced(client, other_station)
        way.thaw()
        jobs = [await job_in(client, job_id, seconds=90) for job_id in (first, *behind)]

    assert beside["status"] == "SUCCESS"
    assert {job["status"] for job in jobs} == {"SUCCESS"}
    assert sum(counts(job)["added"] for job in jobs) == 2


async def test_a_paused_sync_is_in_nobodys_way_and_waits_for_its_turn_again(
    client: httpx2.AsyncClient, field: Field, worker: None, slow: tuple[Passage, Bucket]
) -> None:
    way, bucket = slow
    station_id = await station_of(field, bucket)
    way.freeze()
    first = await asked(client, station_id)
    await has_its_turn(field, first)
    await client.post(f"/jobs/{first}/pause/")
    second = await asked(client, station_id)
    await has_its_turn(field, second)
    way.thaw()
    done = await job_in(client, second, "SUCCESS")
    paused = (await client.get(f"/jobs/{first}/")).json()
    await client.post(f"/jobs/{first}/resume/")
    resumed = await job_in(client, first, "SUCCESS")

    assert paused["status"] == "STARTED"
    assert paused["paused_at"] is not None
    assert counts(done)["added"] + counts(resumed)["added"] == 2
    assert counts(resumed)["total_files"] == 2


async def test_a_sync_that_was_cancelled_or_has_failed_leaves_the_station_free(
    client: httpx2.AsyncClient, field: Field, worker: None, slow: tuple[Passage, Bucket]
) -> None:
    way, bucket = slow
    station_id = await station_of(field, bucket)
    way.freeze()
    first = await asked(client, station_id)
    await has_its_turn(field, first)
    await client.post(f"/jobs/{first}/cancel/")
    await job_in(client, first, "REVOKED", seconds=5)
    way.thaw()

    job = await synced(client, station_id)

    assert job["status"] == "SUCCESS"
    assert not any("waiting" in line for line in lines(job))
    again = await client.post(f"/jobs/{first}/retry/")
    assert again.status_code == 200
    retried = await job_in(client, first, "SUCCESS")
    assert (counts(retried)["total_files"], counts(retried)["added"]) == (2, 0)


async def test_a_sync_whose_station_was_moved_meanwhile_begins_again(
    client: httpx2.AsyncClient, field: Field, worker: None, settings: Settings
) -> None:
    bucket = folder_in(Path(settings.storage_roots))
    await bucket.put({"b/20230801120000.jpg": b"x", "a/20230801120500.jpg": b"x"})
    station_id = await station_of(field, bucket, data_source_subdir="b")
    job = await synced(client, station_id)
    async with field.database.transaction() as db:
        # as if the attempt had died before its last transaction, and the station had been edited since
        await db.execute(
            """UPDATE job_stages SET status = 'STARTED', cursor = cursor || '{"after": "captures/b/x"}'
            WHERE job_id = %s AND key = 'data_storage_sync'""",
            (job["id"],),
        )
        await db.execute("UPDATE jobs SET status = 'STARTED' WHERE id = %s", (job["id"],))
        await db.execute("UPDATE deployments SET data_source_subdir = 'a'")
    run = ClaimedRun(job["id"], 1, job["name"], job["project"]["id"], deployment_id=station_id)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=2)
    resources = Resources(field.database, stores=Stores(settings.storage_folders))

    await environment.run(DataStorageSync(resources).sync, run)

    again = (await client.get(f"/jobs/{job['id']}/")).json()
    found = counts(again)
    assert (found["total_files"], found["added"], found["files_listed"], found["missing"]) == (1, 1, 1, 0)
    assert any("lie elsewhere by now" in line for line in lines(again))


async def test_a_listing_goes_on_after_a_name_that_is_not_utf8(
    client: httpx2.AsyncClient,
    field: Field,
    worker: None,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("storage.folders.PAGE", 1)
    bucket = folder_in(Path(settings.storage_roots))
    await bucket.put({"20230801120000.jpg": b"x"})
    folder = os.fsencode(bucket.folder / "captures")
    with open(folder + b"/20230801130000\xff.jpg", "wb") as file:  # noqa: PTH123 - a name that is not UTF-8
        file.write(b"x")
    station_id = await station_of(field, bucket)

    job = await synced(client, station_id)

    assert (counts(job)["total_files"], counts(job)["failed"]) == (1, 1)
    [row] = await field.read("SELECT cursor FROM job_stages WHERE key = 'data_storage_sync'")
    assert row["cursor"]["after"] == "captures/20230801130000%FF.jpg"
