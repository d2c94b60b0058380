"""The demo: its pictures from stores of every kind to a capture set, and what it says where it cannot have them."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from commands import up
from config import Settings
from demo import drawing
from demo import rows as demo_rows
from demo.rows import SHEET_STATIONS, Sheet
from demo.show import BUCKET
from monitoring.file_names import taken_at
from storage.sources import Source
from tests.commands.test_cli import nightjar
from tests.conftest import serving
from tests.field import Field
from tests.processes import environment
from tests.stores import Bucket, bucket_of, folder_in
from tests.waiting import job_in
from worker import working


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The pictures, by their names in the bucket."""
    folder = tmp_path_factory.mktemp("drawn")
    drawing.draw(folder, SHEET_STATIONS)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.jpg")}


@pytest.fixture(params=["s3", "folder"])
def bucket(request: pytest.FixtureRequest, settings: Settings) -> Bucket:
    """An empty place in a store of each kind."""
    if request.param == "s3":
        source: Source = request.getfixturevalue("s3")
        return bucket_of(source)
    return folder_in(Path(settings.storage_roots))


async def sheet_in(field: Field, bucket: Bucket) -> Sheet:
    """The demo project whose pictures lie there."""
    owner = await field.person("owner@example.org")
    async with field.database.transaction() as db:
        return await demo_rows.find_or_make_sheet(db, owner.id, vars(bucket.source))


async def results(client: httpx2.AsyncClient, path: str, **chosen: int) -> list[dict[str, Any]]:
    answer = await client.get(path, params={"limit": 100, **chosen})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


async def test_drawn_pictures_become_sessions_and_a_set_and_come_back_as_they_were(
    client: httpx2.AsyncClient, field: Field, worker: None, bucket: Bucket, drawn: dict[str, bytes]
) -> None:
    await bucket.put(drawn)
    sheet = await sheet_in(field, bucket)
    project = {"project_id": sheet.project_id}

    started = (await client.post("/deployments/sync-all/", params=project)).json()
    jobs = [await job_in(client, job_id, "SUCCESS") for job_id in started["job_ids"]]
    populate = (await client.post(f"/captures/collections/{sheet.set_id}/populate/")).json()
    await job_in(client, populate["job_id"], "SUCCESS")

    assert [job["deployment"]["name"] for job in jobs] == [name for name, *_ in SHEET_STATIONS.values()]
    sessions = await results(client, "/events/", **project)
    assert [session["captures_count"] for session in sessions] == [drawing.PICTURES] * 9
    nights = Counter(session["deployment"]["name"] for session in sessions)
    assert nights == {name: drawing.NIGHTS for name, *_ in SHEET_STATIONS.values()}
    captures = await results(client, "/captures/", **project)
    assert {capture["path"] for capture in captures} == {bucket.path(key) for key in drawn}
    assert {(capture["width"], capture["height"]) for capture in captures} == {(1024, 768)}
    by_time = sorted(captures, key=lambda capture: str(taken_at(capture["path"])))
    last = {capture["event"]["id"]: capture["id"] for capture in by_time}
    chosen = await results(client, "/captures/", collections=sheet.set_id, **project)
    assert sorted(capture["id"] for capture in chosen) == sorted(last.values())
    async with httpx2.AsyncClient() as anybody:
        for capture in chosen:
            assert ("/files/captures/" if bucket.source.is_folder else "X-Amz-Signature=") in capture["url"]
            content = (await anybody.get(capture["url"])).content
            assert content == drawn[capture["path"].removeprefix(bucket.path(""))]


async def test_a_second_sync_of_all_stations_finds_nothing_new(
    client: httpx2.AsyncClient, field: Field, worker: None, bucket: Bucket, drawn: dict[str, bytes]
) -> None:
    await bucket.put(drawn)
    sheet = await sheet_in(field, bucket)
    figures = []
    for _ in range(2):
        answer = await client.post(f"/deployments/sync-all/?project_id={sheet.project_id}")
        jobs = [await job_in(client, job_id, "SUCCESS") for job_id in answer.json()["job_ids"]]
        stages = [stage for job in jobs for stage in job["progress"]["stages"]]
        figures.append({param["key"]: param["value"] for stage in stages for param in stage["params"]})

    assert [each["added"] for each in figures] == [24, 0]
    assert [each["changed"] for each in figures] == [0, 0]
    assert [each["captures_grouped"] for each in figures] == [24, 24]
    assert [each["captures_measured"] for each in figures] == [24, 0]


async def test_the_project_of_the_pictures_is_made_once_and_follows_them(
    field: Field, bucket: Bucket
) -> None:
    first = await sheet_in(field, bucket)
    bucket.source = Source("elsewhere", endpoint_url="file:///srv/pictures")

    again = await sheet_in(field, bucket)

    assert again == first
    [source] = await field.read("SELECT bucket, endpoint_url, access_key FROM storage_sources")
    assert source == {"bucket": "elsewhere", "endpoint_url": "file:///srv/pictures", "access_key": ""}
    assert len(await field.read("SELECT id FROM deployments")) == len(SHEET_STATIONS)


@pytest.fixture
def allowing(settings: Settings, drawn: dict[str, bytes]) -> Settings:
    """Settings that allow the folder of the pictures, in which they lie already."""
    root = up.pictures(settings.data_dir)
    for key, content in drawn.items():
        (root / BUCKET / key).parent.mkdir(parents=True, exist_ok=True)
        (root / BUCKET / key).write_bytes(content)
    return settings.model_copy(update={"storage_roots": str(root)})


async def demo(settings: Settings, address: str, status: int = 0) -> str:
    """What `nightjar demo` says."""
    there = {**environment(settings), "NIGHTJAR_DATA_DIR": str(settings.data_dir)}
    return await nightjar("demo", "--url", address, there=there, status=status)


async def test_the_demo_runs_against_a_server_that_runs_already(
    allowing: Settings, drawn: dict[str, bytes], field: Field
) -> None:
    async with serving(allowing) as address, working(allowing), httpx2.AsyncClient() as anybody:
        output = await demo(allowing, address)
        [url] = re.findall(r"^A picture: (\S+)$", output, re.MULTILINE)
        picture = (await anybody.get(url)).content

    # its owner is nobody special: it is the command that vouches for the folder
    assert await field.read("SELECT trusted FROM storage_sources") == [{"trusted": True}]
    assert await field.read("SELECT is_superuser FROM users") == [{"is_superuser": False}]
    assert "72 captures, 72 of them new, in 9 new sessions" in output
    assert re.findall(r"Captures added: (\d+)", output) == ["9", "403"]
    assert picture in drawn.values()


async def test_without_leave_to_read_the_folder_there_is_a_demo_without_pictures(
    address: str, settings: Settings, worker: None
) -> None:
    output = await demo(settings, address)

    root = up.pictures(settings.data_dir)
    assert f"nightjar: no pictures: NIGHTJAR_STORAGE_ROOTS does not name {root}" in output
    assert "Captures added: 403" in output
    assert "A picture" not in output
    assert not root.exists()


async def test_a_server_that_does_not_see_the_folder_gives_a_demo_without_pictures(
    address: str, settings: Settings, allowing: Settings, worker: None, field: Field
) -> None:
    output = await demo(allowing, address)

    assert f"nightjar: no pictures: {address} cannot read them: 400:" in output
    assert "The folder is not under a root that this server allows" in output
    assert "Captures added: 403" in output
    assert "A picture" not in output


async def test_a_sync_that_fails_is_shown_and_makes_the_status_1(
    settings: Settings, allowing: Settings
) -> None:
    # the API sees the folder, and the worker does not
    async with serving(allowing) as address, working(settings):
        output = await demo(allowing, address, status=1)

    assert len(re.findall(r"^Job \d+ +Sync captures .* FAILURE", output, re.MULTILINE)) == 3
    assert "Captures added: 403" in output
